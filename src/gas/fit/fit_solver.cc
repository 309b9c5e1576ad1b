#include "gas/fit/fit_solver.h"

#include <algorithm>

#include "gas/core/error.h"
#include "gas/core/interrupt.h"
#include "gas/fit/time_search.h"
#include "gas/grid/time_grid.h"
#include "gas/solver/dpm_multistep.h"
#include "gas/solver/not_finite.h"

namespace gas {
namespace {

// How far beyond pure noise, in lambda, starts are tried.
constexpr double kStartShifts[] = {0.7, 1.4, 2.1};
// The search for times has this part of the budget, refinement of all together the rest.
constexpr int64_t kSearchShare = 8;
// Refinement goes from few trajectories to all that half of its budget can afford a round on, this many times
// as many each time: few tell where to go, many where to end.
constexpr int64_t kGrowth = 4;
// Rounds go on while they gain this share of the error; on a part that is not the last, as long as they gain
// much.
constexpr double kLeastGain = 1e-3, kLeastGainOfPart = 0.05;
// Runs of the search part that no search can do without: a candidate, its rows, and its last row anew.
constexpr int64_t kLeastRuns = 3;
constexpr const char* kSearchGrids[] = {"logsnr", "edm", "uniform"};

bool IsListOfTimes(const std::string& grid) { return grid.find(',') != grid.npos; }

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

class SolverFitter {
 public:
  SolverFitter(const FitSolverOptions& options, SchedulePtr schedule, const FitSources& sources)
      : o_(options), schedule_(std::move(schedule)), sources_(sources) {
    GAS_CHECK(o_.nfe >= 1 && o_.nfe <= 1000, Errc::kBadOption, "fit.nfe = ", o_.nfe,
              ", must be in [1, 1000]");
    CheckSearchBudget(o_.budget, o_.nfe, sources_.search.count());
    GAS_CHECK(!o_.start || !o_.search_start, Errc::kInternal,
              "fit: a start is given and to be searched, must be one of these");
    if (o_.start) {
      GAS_CHECK(*o_.start > o_.t_eps && *o_.start <= schedule_->t_start(), Errc::kBadOption,
                "fit.start = ", *o_.start, ", must be in (", o_.t_eps, ", ", schedule_->t_start(), "]");
    }
  }

  FittedSolver Run() {
    const Tensor grid = MakeGrid(o_.grid, *schedule_, o_.nfe, o_.t_eps);
    const DpmMultistepOptions base{.order = 3, .lower_order_final = false};
    best_.base_held_out = BaseHeldOut(DpmMultistepTable(base, *schedule_, grid));
    try {
      const std::vector<FitTimes> on_grid = Starts(o_.grid);
      for (const FitTimes& times : on_grid) Consider(OnTraining(times), /*searched=*/false);
      if (o_.budget > 0) Search(on_grid);
    } catch (const Error& error) {
      const bool any = best_.fit.table.t.defined();
      if (!IsInterrupt(error) || !any) throw;
      AnswerInterrupt();
      best_.interrupted = true;
    }
    GAS_CHECK(std::isfinite(best_.held_out), Errc::kNumeric, "fit: samples of held-out trajectories by ",
              o_.nfe, " evaluations are not finite with any fit that was tried");
    best_.evaluations = evaluations_;
    return best_;
  }

 private:
  // ---- Candidates ----

  FitTimes FromNoise(const std::string& grid) const {
    return {MakeGrid(grid, *schedule_, o_.nfe, o_.t_eps), {}, {}};
  }

  FitTimes FromStart(const std::string& grid, double start) const {
    // A list says itself where it begins.
    if (IsListOfTimes(grid)) return {MakeGrid(grid, *schedule_, o_.nfe, o_.t_eps), {}, start};
    return {MakeGridBetween(grid, *schedule_, o_.nfe, start, o_.t_eps), {}, start};
  }

  std::vector<FitTimes> Starts(const std::string& grid) const {
    const bool jumps = o_.start && *o_.start < schedule_->t_start();
    if (jumps) return {FromStart(grid, *o_.start)};
    std::vector<FitTimes> times = {FromNoise(grid)};
    if (!o_.search_start) return times;
    GAS_CHECK(!IsListOfTimes(grid), Errc::kBadOption, "fit.start = auto: needs a grid by name, not ", grid);
    const double noise = schedule_->HalfLogSnr(schedule_->t_start());
    for (const double shift : kStartShifts) {
      times.push_back(FromStart(grid, schedule_->TimeOfHalfLogSnr(noise + shift)));
    }
    return times;
  }

  FitResult OnTraining(const FitTimes& times) {
    FitResult fit = FitTable(times, schedule_, sources_.training, o_.fit);
    evaluations_ += fit.evaluations;
    return fit;
  }

  double HeldOut(const StepTable& table) {
    evaluations_ += table.nfe() * sources_.held_out.count();
    return ErrorOn(table, sources_.held_out);
  }

  double BaseHeldOut(const StepTable& base) {
    const double error = HeldOut(base);
    if (!std::isfinite(error)) FailNotFinite(base, sources_.held_out);
    return error;
  }

  // Keeps `fit` if it is the best so far on the held-out part; returns its error there.
  double Consider(const FitResult& fit, bool searched) {
    const double error = HeldOut(fit.table);
    const bool first = !best_.fit.table.t.defined() || !std::isfinite(best_.held_out);
    if (first || error < best_.held_out) {
      best_.fit = fit;
      best_.held_out = error;
      best_.searched = searched;
    }
    return error;
  }

  // ---- Search ----

  // 1. times, with rows fitted one after another; 2. all numbers at once, from there on; 3. the last row to
  // all training trajectories.
  void Search(const std::vector<FitTimes>& on_grid) {
    const FitTimes times = SearchedTimes(on_grid);
    const FitResult fitted = OnTraining(times);
    best_.stages.back().held_out = Consider(fitted, /*searched=*/true);
    if (best_.interrupted) return;
    const StepTable refined = Refined(times);
    const FitResult last = FitLastRow(refined, schedule_, sources_.training, o_.fit);
    evaluations_ += last.evaluations;
    Consider(last, /*searched=*/true);
  }

  // The search compares squared errors.
  FitOptions SearchFit() const {
    FitOptions fit = o_.fit;
    fit.objective = nullptr;
    return fit;
  }

  void Spend(int64_t evaluations) {
    evaluations_ += evaluations;
    spent_ += evaluations;
  }

  // After `spent` evaluations of the search.
  void Report(int64_t spent, double best) const {
    if (o_.report) o_.report(spent, best);
  }

  FitTimes SearchedTimes(const std::vector<FitTimes>& on_grid) {
    std::vector<FitTimes> initial = on_grid;
    for (const char* grid : kSearchGrids) {
      if (grid == o_.grid) continue;
      for (const FitTimes& times : Starts(grid)) initial.push_back(times);
    }
    const int64_t each = o_.nfe * sources_.search.count();
    const FitOptions fit = SearchFit();
    int64_t candidate = 0;
    const auto error_of = [&](const FitTimes& times) {
      const std::string key = "candidate " + std::to_string(++candidate);
      if (const std::optional<nlohmann::json> known = o_.journal.Find(key)) {
        Spend(known->at("evaluations").get<int64_t>());
        return known->at("error").get<double>();
      }
      const FitResult result = FitTable(times, schedule_, sources_.search, fit);
      const double error = result.rows.back().error;
      Spend(result.evaluations);
      o_.journal.Keep(key, {{"error", error}, {"evaluations", result.evaluations}});
      return error;
    };
    const TimeSearchOptions search{.max_candidates = std::max<int64_t>(1, o_.budget / kSearchShare / each),
                                   .start = o_.search_start,
                                   .report = [&](int64_t, double best) { Report(spent_, best); }};
    const TimeSearchResult found = SearchTimes(*schedule_, initial, error_of, search);
    best_.stages.push_back({.what = "times",
                            .trajectories = sources_.search.count(),
                            .rounds = found.candidates,
                            .evaluations = spent_,
                            .error = found.objective});
    best_.interrupted = found.stopped;
    return found.times;
  }

  // What Levenberg-Marquardt makes of these times on growing parts of the trajectories.
  StepTable Refined(const FitTimes& times) {
    const FitOptions fit = SearchFit();
    const FitResult rows = FitTable(times, schedule_, sources_.search, fit);
    Spend(rows.evaluations);
    StepTable table = rows.table;
    const int64_t each = RefineRoundCost(o_.nfe, fit) + o_.nfe;  // a round, and the last row before it
    const std::vector<TrajectorySource> parts = GrowingParts((o_.budget - spent_) / 2 / each);
    int64_t later = 0;  // trajectories of the parts after this one
    for (const TrajectorySource& part : parts) later += part.count();
    for (const TrajectorySource& part : parts) {
      later -= part.count();
      const int64_t before = spent_;
      const RefineOptions options{
          .budget = o_.budget - before - each * later,  // each later part has at least a round
          .fit = fit,
          .step = o_.step,
          .least_gain = later > 0 ? kLeastGainOfPart : kLeastGain,
          .journal = o_.journal.Part("part of " + std::to_string(part.count())),
          .report = [&](int64_t spent, double best) { Report(before + spent, best); }};
      const RefineResult refined = RefineTable(table, schedule_, part, options);
      Spend(refined.fit.evaluations);
      table = refined.fit.table;
      // With an objective of its own the result has to have a last row that minimises it.
      const bool complete = o_.fit.objective == nullptr;
      best_.stages.push_back(
          {.what = "all at once",
           .trajectories = part.count(),
           .rounds = refined.rounds,
           .evaluations = refined.fit.evaluations,
           .error = refined.fit.rows.back().error,
           .held_out = complete ? Consider(refined.fit, /*searched=*/true) : HeldOut(refined.fit.table)});
      best_.interrupted = refined.stopped;
      if (refined.stopped) break;
    }
    return table;
  }

  // The search part, then parts of the training trajectories, up to about `most` of them.
  std::vector<TrajectorySource> GrowingParts(int64_t most) const {
    const TrajectorySource& all = sources_.training;
    const int64_t least = sources_.search.count();
    std::vector<TrajectorySource> parts;  // the largest first
    int64_t pieces = std::min(all.pieces(), most * all.pieces() / all.count());
    while (pieces * all.count() > least * all.pieces()) {
      parts.push_back(Thinned(all, pieces));
      pieces /= kGrowth;
    }
    parts.push_back(sources_.search);
    std::reverse(parts.begin(), parts.end());
    return parts;
  }

  const FitSolverOptions& o_;
  SchedulePtr schedule_;
  const FitSources& sources_;
  FittedSolver best_;
  int64_t evaluations_ = 0;
  int64_t spent_ = 0;  // evaluations that count against the budget
};

}  // namespace

int64_t LeastSearchBudget(int64_t nfe, int64_t trajectories) { return kLeastRuns * nfe * trajectories; }

void CheckSearchBudget(int64_t budget, int64_t nfe, int64_t trajectories) {
  const int64_t least = LeastSearchBudget(nfe, trajectories);
  GAS_CHECK(budget == 0 || budget >= least, Errc::kBadOption, "fit.budget = ", budget,
            ", must be 0, or at least ", least, " to search for ", nfe, " evaluations with ", trajectories,
            " trajectories");
}

FittedSolver FitSolver(const FitSolverOptions& options, SchedulePtr schedule, const FitSources& sources) {
  return SolverFitter(options, std::move(schedule), sources).Run();
}

}  // namespace gas
