#include "gas/fit/fit_solver.h"

#include <algorithm>
#include <cmath>

#include "gas/core/error.h"
#include "gas/core/interrupt.h"
#include "gas/fit/replay_denoiser.h"
#include "gas/fit/solver_race.h"
#include "gas/fit/table_point.h"
#include "gas/grid/time_grid.h"
#include "gas/solver/dpm_multistep.h"
#include "gas/solver/not_finite.h"

namespace gas {
namespace {

// Grids of a race, those that win most often first: with a small budget the others are not looked at.
constexpr const char* kRaceGrids[] = {"quadratic", "edm", "uniform", "logsnr", "edm-12", "edm-4"};
// A race is run on so many trajectories.
constexpr int64_t kLeastRaced = 8, kMostRaced = 64;
// Shares of the budget: grids, and the whole race; the refinement of the few best; what is kept for the last
// fit to all trajectories, at most. Where no refinement is affordable the race has half.
constexpr double kGridsShare = 0.15, kRaceShare = 0.3, kFewBestShare = 0.3, kLastFitShare = 0.2;
constexpr double kRaceShareAlone = 0.5;
// So many of different grids are refined, as long as each has so many trajectories.
constexpr int64_t kFewBest = 3, kLeastRefined = 16, kMostRefinedAtFirst = 64;
// A refinement needs so many equations for each number that it finds.
constexpr int64_t kEquationsPerUnknown = 10;
// A table of these verdicts has to be so many times as good as a safe one.
constexpr double kUnstableCost = 2, kChangesBrightnessCost = 1.1;
// A change of brightness is at its bound within this share.
constexpr double kAtBound = 1e-6;
// A round of a refinement has some trials, each a run.
constexpr int64_t kTrialsOfRound = 4;
// Refinement goes from few trajectories to all that half of its budget can afford a round on, this many times
// as many each time: few tell where to go, many where to end.
constexpr int64_t kGrowth = 4;
// Rounds go on while they gain this share of the error; on a part that is not the last, as long as they gain
// much.
constexpr double kLeastGain = 1e-3, kLeastGainOfPart = 0.05;

// Names the first of the trajectories whose sample by `table` is not finite, and its step.
[[noreturn]] void FailNotFinite(const StepTable& table, const TrajectorySource& source) {
  const std::string what = "fit: " + table.method + ", nfe = " + std::to_string(table.nfe()) +
                           ": the distance to the teacher on held-out trajectories is not finite";
  int64_t before = 0;  // trajectories of earlier pieces
  for (int64_t piece = 0; piece < source.pieces(); ++piece) {
    const Trajectories part = source.read(piece);
    const std::optional<NotFinite> found = FindNotFinite(table, *part.denoiser, part.noise, part.condition);
    if (found) {
      Fail(Errc::kNumeric, what, ", first in ", found->place, " of trajectory ", before + found->row);
    }
    before += source.sizes[piece];
  }
  Fail(Errc::kNumeric, what);
}

int64_t Share(double share, int64_t budget) {
  return static_cast<int64_t>(share * static_cast<double>(budget));
}

class SolverFitter {
 public:
  SolverFitter(const FitSolverOptions& options, SchedulePtr schedule, const FitSources& sources)
      : o_(options), schedule_(std::move(schedule)), sources_(sources) {
    GAS_CHECK(o_.nfe >= 1 && o_.nfe <= 1000, Errc::kBadOption, "fit.nfe = ", o_.nfe,
              ", must be in [1, 1000]");
    CheckBudget(o_.budget, o_.nfe);
    GAS_CHECK(!o_.start || !o_.search_start, Errc::kInternal,
              "fit: a start is given and to be searched, must be one of these");
    GAS_CHECK(!o_.search_start || !IsListOfTimes(o_.grid.value_or("")), Errc::kBadOption,
              "fit.start = auto: needs a grid by name, not ", o_.grid.value_or(""));
    if (o_.start) {
      GAS_CHECK(*o_.start > o_.t_eps && *o_.start <= schedule_->t_start(), Errc::kBadOption,
                "fit.start = ", *o_.start, ", must be in (", o_.t_eps, ", ", schedule_->t_start(), "]");
    }
    each_round_ = RefineRoundCost(o_.nfe, SquaredErrorFit()) + kTrialsOfRound * o_.nfe;
    least_refined_ = LeastRefined();
  }

  FittedSolver Run() {
    try {
      if (o_.budget > 0) {
        Search();
      } else {
        Consider(OnPart(FirstShape(), sources_.training, o_.fit), FirstShape(), /*refined=*/false);
      }
    } catch (const Error& error) {
      const bool any = best_.fit.table.t.defined();
      if (!IsInterrupt(error) || !any) throw;
      AnswerInterrupt();
      best_.interrupted = true;
    }
    best_.base_held_out = BaseHeldOut();
    GAS_CHECK(std::isfinite(best_.held_out), Errc::kNumeric, "fit: samples of held-out trajectories by ",
              o_.nfe, " evaluations are not finite with any fit that was tried");
    best_.evaluations = spent_;
    return best_;
  }

 private:
  // A shape's table while it is refined.
  struct Refined {
    SolverShape shape;
    FitResult fit;
  };

  SolverShape FirstShape() const {
    const std::string plain = o_.budget > 0 ? kRaceGrids[0] : kPlainGrid;
    return {.grid = o_.grid.value_or(plain), .start = o_.start, .bands = o_.fit.basis};
  }

  // The race compares squared errors, which need no iterations; so do states before the last.
  FitOptions SquaredErrorFit() const {
    FitOptions fit = o_.fit;
    fit.objective = nullptr;
    return fit;
  }

  // So many trajectories that there are equations enough, whatever the size of a state.
  int64_t LeastRefined() const {
    const Tensor noise = sources_.training.read(0).noise;
    const int64_t entries = std::max<int64_t>(1, noise.numel() / noise.size(0));
    const int64_t unknowns = RefinedUnknowns(o_.nfe, SquaredErrorFit());
    return std::max(kLeastRefined, (kEquationsPerUnknown * unknowns + entries - 1) / entries);
  }

  void Report(const std::string& what, int64_t spent, double best) const {
    if (o_.report) o_.report(what, spent, best);
  }

  // ---- Candidates ----

  SampleErrors HeldOut(const StepTable& table, const Objective* objective) {
    best_.held_out_evaluations += table.nfe() * sources_.held_out.count();
    return ErrorsOn(table, sources_.held_out, objective);
  }

  // DPM-Solver++ on the same grid from pure noise.
  double BaseHeldOut() {
    const DpmMultistepOptions options{.order = 3, .lower_order_final = false};
    const Tensor grid = MakeGrid(best_grid_, *schedule_, o_.nfe, o_.t_eps);
    const StepTable base = DpmMultistepTable(options, *schedule_, grid);
    const double error = HeldOut(base, nullptr).squared;
    if (!std::isfinite(error)) FailNotFinite(base, sources_.held_out);
    return error;
  }

  // What compares candidates.
  static double Weighed(double error, LintVerdict lint) {
    switch (lint) {
      case LintVerdict::kSafe: return error;
      case LintVerdict::kChangesBrightness: return kChangesBrightnessCost * error;
      case LintVerdict::kUnstable: return kUnstableCost * error;
    }
    GAS_ASSERT(false);
  }

  // Keeps `fit` if it is the best so far; returns its held-out distance.
  double Consider(const FitResult& fit, const SolverShape& shape, bool refined) {
    const SampleErrors errors = HeldOut(fit.table, o_.fit.objective.get());
    const LintVerdict lint = LintTable(fit.table, *schedule_).verdict;
    const bool first = !best_.fit.table.t.defined() || !std::isfinite(best_loss_);
    if (first || Weighed(errors.loss(), lint) < Weighed(best_loss_, best_.lint)) {
      best_.fit = fit;
      best_.held_out = errors.squared;
      best_.held_out_objective = errors.objective;
      best_loss_ = errors.loss();
      best_.shape = shape.Name();
      best_.refined = refined;
      best_grid_ = shape.grid;
      best_.lint = lint;
    }
    return errors.squared;
  }

  // A candidate before any refinement: with an objective of its own the result has to have a last row that
  // minimises it.
  void ConsiderUnrefined(const FitResult& fit, const SolverShape& shape) {
    if (o_.fit.objective == nullptr) Consider(fit, shape, /*refined=*/false);
  }

  // ---- Search ----

  void Search() {
    const bool refine = each_round_ * least_refined_ <= o_.budget / 2;
    const int64_t last_fit = std::min(o_.nfe * sources_.training.count(),
                                      Share(refine ? kLastFitShare : kRaceShareAlone, o_.budget));
    const RaceResult race = RunRace(refine);
    const RaceEntry& winner = race.entries.front();
    best_.interrupted = race.stopped;
    ConsiderWinner(winner);
    if (race.stopped) return;
    if (!refine) {
      LastFit(winner.shape, std::nullopt);
      return;
    }
    const int64_t until = o_.budget - last_fit;
    Refined refined = BestOfFew(race, until);
    if (!best_.interrupted) Grow(refined, until);
    if (!best_.interrupted) LastFit(refined.shape, refined.fit.table);
  }

  // 1. The race.
  RaceResult RunRace(bool refine) {
    const int64_t budget = Share(refine ? kRaceShare : kRaceShareAlone, o_.budget);
    RaceOptions race{
        .nfe = o_.nfe,
        .t_eps = o_.t_eps,
        .first = FirstShape(),
        .starts = o_.search_start,
        // What is refined stays scalar until its last row is fitted, which tells what bands gain.
        .bands = refine ? std::vector<SpectralBasisPtr>{} : o_.try_bands,
        .fit = SquaredErrorFit(),
        .budget = budget,
        .journal = o_.journal.Part("race")};
    if (!o_.grid) race.grids.assign(std::begin(kRaceGrids), std::end(kRaceGrids));
    const int64_t grids = std::max<int64_t>(1, static_cast<int64_t>(race.grids.size()));
    const int64_t for_grids = refine ? Share(kGridsShare, o_.budget) : budget;
    raced_ = std::clamp(for_grids / (o_.nfe * grids), kLeastRaced, kMostRaced);
    const TrajectorySource part = PartOf(sources_.training, raced_);
    int64_t before = 0;
    race.report = [&](const SolverShape& shape, double error, int64_t spent) {
      best_.stages.push_back({.what = shape.Name(),
                              .trajectories = part.count(),
                              .evaluations = spent - before,
                              .error = error});
      before = spent;
      Report(shape.Name(), spent, error);
    };
    RaceResult result = RaceSolvers(race, schedule_, part);
    spent_ += result.evaluations;
    return result;
  }

  // The race's table. One that an interrupted run had raced was counted there, and is made again.
  void ConsiderWinner(const RaceEntry& winner) {
    if (!std::isfinite(winner.error)) return;
    const auto again = [&] {
      return Fitted(winner.shape, PartOf(sources_.training, raced_), SquaredErrorFit());
    };
    ConsiderUnrefined(winner.fit ? *winner.fit : again(), winner.shape);
  }

  FitResult Fitted(const SolverShape& shape, const TrajectorySource& part, const FitOptions& fit) const {
    return FitTable(TimesOf(shape, *schedule_, o_.nfe, o_.t_eps), schedule_, part, FitOptionsOf(shape, fit));
  }

  FitResult OnPart(const SolverShape& shape, const TrajectorySource& part, const FitOptions& fit) {
    FitResult result = Fitted(shape, part, fit);
    spent_ += result.evaluations;
    return result;
  }

  // 2. A refinement of the best few on few trajectories, each with a round's budget.
  Refined BestOfFew(const RaceResult& race, int64_t until) {
    std::vector<SolverShape> shapes = WorthRefining(race);
    const int64_t each = each_round_ + o_.nfe;  // with the fit before it
    const int64_t runs = Share(kFewBestShare, until - spent_) / each;
    const auto share = [&] { return runs / static_cast<int64_t>(shapes.size()); };
    while (shapes.size() > 1 && share() < least_refined_) shapes.pop_back();
    refined_on_ = std::clamp(share(), least_refined_, std::max(least_refined_, kMostRefinedAtFirst));
    const TrajectorySource part = PartOf(sources_.training, refined_on_);
    std::optional<Refined> best;
    for (const SolverShape& shape : shapes) {
      Refined candidate = RefinedFrom(shape, part);
      if (!best || LossOf(candidate) < LossOf(*best)) best = std::move(candidate);
      if (best_.interrupted) return *std::move(best);
    }
    return *std::move(best);
  }

  Refined RefinedFrom(const SolverShape& shape, const TrajectorySource& part) {
    Refined refined{shape, OnPart(shape, part, SquaredErrorFit())};
    ConsiderUnrefined(refined.fit, shape);
    Refine(refined, part, each_round_ * part.count(), kLeastGainOfPart);
    return refined;
  }

  static double LossOf(const Refined& refined) { return refined.fit.rows.back().loss(); }

  // Worth a refinement: the best from pure noise, the winner if it is another one, and the best from noise of
  // other grids. What a spectral start gains before a refinement it often does not gain after it.
  static std::vector<SolverShape> WorthRefining(const RaceResult& race) {
    const RaceEntry& winner = race.entries.front();
    std::vector<SolverShape> shapes;
    for (const RaceEntry& entry : race.entries) {
      const bool seen = std::any_of(shapes.begin(), shapes.end(), [&](const SolverShape& shape) {
        return !shape.start && shape.grid == entry.shape.grid;
      });
      if (seen || entry.shape.start || !std::isfinite(entry.error)) continue;
      shapes.push_back(entry.shape);
      if (shapes.size() == 1 && winner.shape.start) shapes.push_back(winner.shape);
    }
    if (shapes.empty() && std::isfinite(winner.error)) shapes.push_back(winner.shape);
    GAS_CHECK(!shapes.empty(), Errc::kNumeric, "fit: the network's outputs are not finite with any of ",
              race.entries.size(), " solvers that were tried");
    if (static_cast<int64_t>(shapes.size()) > kFewBest) shapes.resize(kFewBest);
    return shapes;
  }

  // Levenberg-Marquardt from where `refined` is.
  void Refine(Refined& refined, const TrajectorySource& part, int64_t budget, double least_gain) {
    const int64_t before = spent_;
    const std::string what = "all at once from " + refined.shape.Name();
    const RefineOptions options{
        .budget = budget,
        .fit = FitOptionsOf(refined.shape, o_.fit),
        .step = o_.step,
        .least_gain = least_gain,
        .stay_stable = true,
        .journal = o_.journal.Part(what + " on " + std::to_string(part.count())),
        .report = [&](int64_t spent, double best) { Report(what, before + spent, best); }};
    const RefineResult result = RefineTable(refined.fit.table, schedule_, part, options);
    spent_ += result.fit.evaluations;
    refined.fit = result.fit;
    best_.interrupted = result.stopped;
    const double held_out = Consider(refined.fit, refined.shape, /*refined=*/true);
    best_.stages.push_back({.what = what,
                            .trajectories = part.count(),
                            .evaluations = result.fit.evaluations,
                            .error = refined.fit.rows.back().error,
                            .held_out = held_out});
  }

  // 3. Refinement on growing parts.
  void Grow(Refined& refined, int64_t until) {
    const std::vector<TrajectorySource> parts = GrowingParts((until - spent_) / 2 / each_round_);
    int64_t later = 0;  // trajectories of the parts after this one
    for (const TrajectorySource& part : parts) later += part.count();
    for (const TrajectorySource& part : parts) {
      later -= part.count();
      const int64_t budget = until - spent_ - each_round_ * later;  // each later part has at least a round
      Refine(refined, part, budget, later > 0 ? kLeastGainOfPart : kLeastGain);
      if (best_.interrupted) return;
    }
  }

  // Parts of the training trajectories, up to about `most` of them, each larger than the one before and than
  // those of the few best. Nothing where a round is not affordable on so many.
  std::vector<TrajectorySource> GrowingParts(int64_t most) const {
    std::vector<TrajectorySource> parts;  // the largest first
    int64_t count = std::min(most, sources_.training.count());
    for (; count >= refined_on_; count /= kGrowth) parts.push_back(PartOf(sources_.training, count));
    std::reverse(parts.begin(), parts.end());
    return parts;
  }

  // 4. The last row of a refined table, or all rows, fitted to as many trajectories as the budget has left.
  void LastFit(const SolverShape& shape, const std::optional<StepTable>& refined) {
    const int64_t left = std::max<int64_t>(0, o_.budget - spent_) / o_.nfe;
    const int64_t all = sources_.training.count();
    const TrajectorySource part = PartOf(sources_.training, std::clamp(left, std::min(raced_, all), all));
    if (refined) {
      LastRow(shape, *refined, part);
    } else {
      Consider(OnPart(shape, part, o_.fit), shape, /*refined=*/false);
    }
  }

  // The last row without a bound on its change of brightness, if that of `bounded` holds it.
  void ConsiderFreely(const SolverShape& shape, const StepTable& table, const TrajectorySource& recorded,
                      const FitResult& bounded) {
    if (!IsAtBrightnessBound(bounded.table)) return;
    FitOptions options = o_.fit;
    options.most_brightness_change = {};
    Consider(FitLastRow(table, schedule_, recorded, FitOptionsOf(shape, options)), shape, /*refined=*/true);
  }

  bool IsAtBrightnessBound(const StepTable& table) const {
    if (!o_.fit.most_brightness_change) return false;
    const double change = std::abs(LintTable(table, *schedule_).brightness.value);
    return change >= (1 - kAtBound) * *o_.fit.most_brightness_change;
  }

  // The last row of a scalar table is tried with bands too, on the same outputs of the network: the bands
  // whose cross-validated error is the least are a candidate beside the scalar row.
  void LastRow(SolverShape shape, const StepTable& table, const TrajectorySource& part) {
    std::vector<std::vector<Tensor>> outputs(part.pieces());
    const TrajectorySource recorded = Recorded(part, outputs);
    const FitResult scalar = FitLastRow(table, schedule_, recorded, FitOptionsOf(shape, o_.fit));
    spent_ += EvaluationsIn(outputs);
    Consider(scalar, shape, /*refined=*/true);
    ConsiderFreely(shape, table, recorded, scalar);
    std::optional<FitResult> best;
    for (const SpectralBasisPtr& bands : o_.try_bands) {
      SolverShape banded = shape;
      banded.bands = bands;
      FitResult fit = FitLastRow(table, schedule_, recorded, FitOptionsOf(banded, o_.fit));
      if (best && fit.rows.back().error >= best->rows.back().error) continue;
      best = std::move(fit);
      shape.bands = bands;
    }
    if (best && best->rows.back().error < scalar.rows.back().error) Consider(*best, shape, /*refined=*/true);
  }

  const FitSolverOptions& o_;
  SchedulePtr schedule_;
  const FitSources& sources_;
  FittedSolver best_;
  double best_loss_ = 0;   // of best_, on held-out trajectories
  std::string best_grid_;  // of best_
  int64_t spent_ = 0;
  int64_t least_refined_ = 0;           // trajectories
  int64_t raced_ = 0, refined_on_ = 0;  // trajectories of the race, and of the refinement of the few best
  int64_t each_round_ = 0;              // evaluations for each trajectory that a round of refinement takes
};

}  // namespace

int64_t LeastBudget(int64_t nfe) { return 2 * kLeastRaced * nfe; }

void CheckBudget(int64_t budget, int64_t nfe) {
  const int64_t least = LeastBudget(nfe);
  GAS_CHECK(budget == 0 || budget >= least, Errc::kBadOption, "fit.budget = ", budget,
            ", must be 0, or at least ", least, " to search for ", nfe, " evaluations");
}

FittedSolver FitSolver(const FitSolverOptions& options, SchedulePtr schedule, const FitSources& sources) {
  return SolverFitter(options, std::move(schedule), sources).Run();
}

}  // namespace gas
