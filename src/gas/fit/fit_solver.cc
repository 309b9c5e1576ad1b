#include "gas/fit/fit_solver.h"

#include <algorithm>

#include "gas/core/error.h"
#include "gas/fit/time_search.h"
#include "gas/grid/time_grid.h"
#include "gas/solver/dpm_multistep.h"

namespace gas {
namespace {

// How far beyond pure noise, in lambda, automatic starts are tried.
constexpr double kStartShifts[] = {0.7, 1.4, 2.1};
// The search for times has this part of the budget, refinement of all together the rest.
constexpr int64_t kSearchShare = 8;
// Refinement goes from few trajectories to all that half of its budget can afford a round on, this many times
// as many each time: few tell where to go, many where to end.
constexpr int64_t kGrowth = 4;
// Rounds go on while they gain this share of the error; on a part that is not the last, as long as they gain
// much.
constexpr double kLeastGain = 1e-3, kLeastGainOfPart = 0.05;
constexpr const char* kSearchGrids[] = {"logsnr", "edm", "uniform"};

class Solver {
 public:
  Solver(const FitSolverOptions& options, SchedulePtr schedule, const FitSources& sources,
         const SpectrumStatistics* statistics)
      : o_(options), schedule_(std::move(schedule)), sources_(sources), statistics_(statistics) {
    GAS_CHECK(o_.nfe >= 1 && o_.nfe <= 1000, Errc::kBadOption, "fit.nfe = ", o_.nfe,
              ", must be in [1, 1000]");
    if (o_.start == StartChoice::kAt) {
      GAS_CHECK(o_.start_time > o_.t_eps && o_.start_time <= schedule_->t_start(), Errc::kBadOption,
                "fit.start = ", o_.start_time, ", must be in (", o_.t_eps, ", ", schedule_->t_start(), "]");
    }
    GAS_CHECK(o_.start == StartChoice::kNoise || (statistics_ != nullptr && o_.fit.basis != nullptr),
              Errc::kInternal, "a spectral start needs statistics and a basis");
  }

  FittedSolver Run() {
    const FitTimes plain = GridFrom(o_.grid, schedule_->t_start());
    const DpmMultistepOptions base{.order = 3, .lower_order_final = false};
    best_.base_held_out = ErrorOn(DpmMultistepTable(base, *schedule_, plain.t), sources_.held_out);
    std::vector<FitTimes> candidates = Starts(o_.grid);
    for (const FitTimes& times : candidates) Consider(OnTraining(times), false);
    if (o_.budget > 0) Search(candidates);
    best_.evaluations = evaluations_;
    return best_;
  }

 private:
  FitTimes GridFrom(const std::string& name, double t_start) const {
    if (t_start == schedule_->t_start()) return {MakeGrid(name, *schedule_, o_.nfe, o_.t_eps), {}};
    return {MakeGridBetween(name, *schedule_, o_.nfe, t_start, o_.t_eps), {}};
  }

  std::vector<FitTimes> Starts(const std::string& grid) const {
    if (o_.start == StartChoice::kAt) return {GridFrom(grid, o_.start_time)};
    std::vector<FitTimes> times = {GridFrom(grid, schedule_->t_start())};
    if (o_.start == StartChoice::kAuto) {
      const double noise = schedule_->HalfLogSnr(schedule_->t_start());
      for (const double shift : kStartShifts)
        times.push_back(GridFrom(grid, schedule_->TimeOfHalfLogSnr(noise + shift)));
    }
    return times;
  }

  // The options of a fit that begins at these times.
  FitOptions OptionsFor(const FitTimes& times) const {
    FitOptions fit = o_.fit;
    const double first = times.t[0].item<double>();
    fit.start = nullptr;
    if (first < schedule_->t_start()) {
      fit.start = MakeSpectralStart(*statistics_, *fit.basis, *schedule_, schedule_->t_start(), first);
    } else if (fit.basis != nullptr && fit.basis->bands() == 1) {
      fit.basis = nullptr;  // it was there for the start
    }
    return fit;
  }

  void Consider(const FitResult& fit, bool searched) {
    const double error = ErrorOn(fit.table, sources_.held_out);
    evaluations_ += fit.evaluations;
    if (best_.fit.table.t.defined() && !(error < best_.held_out)) return;
    best_.fit = fit;
    best_.held_out = error;
    best_.searched = searched;
    best_.start_time = fit.table.t[0].item<double>();
  }

  FitResult OnTraining(const FitTimes& times) const {
    return FitTable(times, schedule_, sources_.training, OptionsFor(times));
  }

  // Whether to go on, after `spent` evaluations of the search.
  bool Report(int64_t spent, double best) const { return !o_.report || o_.report(spent, best); }

  // Searched times, and what Levenberg-Marquardt makes of them on growing parts of the trajectories.
  void Search(const std::vector<FitTimes>& on_grid) {
    const FitTimes times = Searched(on_grid);
    Consider(OnTraining(times), true);
    if (best_.interrupted) return;
    FitOptions fit = OptionsFor(times);
    fit.objective = nullptr;  // the search compares squared errors
    FitResult rows = FitTable(times, schedule_, sources_.search, fit);
    evaluations_ += rows.evaluations;
    searched_ += rows.evaluations;
    const int64_t each = RefineRoundCost(o_.nfe, fit) + o_.nfe;  // a round, and the last row before it
    const std::vector<TrajectorySource> parts = GrowingParts((o_.budget - searched_) / 2 / each);
    int64_t later = 0;
    for (const TrajectorySource& part : parts) later += CountOf(part);
    for (const TrajectorySource& part : parts) {
      const int64_t count = CountOf(part), before = searched_;
      later -= count;
      const RefineResult refined =
          RefineTable(rows.table, schedule_, part,
                      {.budget = o_.budget - before - each * later,  // each part has at least a round
                       .fit = fit,
                       .step = o_.step,
                       .least_gain = later > 0 ? kLeastGainOfPart : kLeastGain,
                       .report = [&](int64_t spent, double best) { return Report(before + spent, best); }});
      rows = refined.fit;
      evaluations_ += rows.evaluations;
      searched_ += rows.evaluations;
      best_.stages.push_back(
          {"all at once", count, refined.rounds, rows.evaluations, rows.rows.back().error});
      best_.interrupted = refined.stopped;
      if (refined.stopped) break;
    }
    Consider(FitLastRow(rows.table, schedule_, sources_.training, OptionsFor(times)), true);
  }

  // The search part, then parts of the training trajectories, up to about `most` of them.
  std::vector<TrajectorySource> GrowingParts(int64_t most) const {
    const TrajectorySource& all = sources_.training;
    const int64_t count = CountOf(all), least = CountOf(sources_.search);
    std::vector<TrajectorySource> parts;
    for (int64_t pieces = std::min(all.pieces, most * all.pieces / count);
         pieces * count > least * all.pieces; pieces /= kGrowth) {
      parts.push_back(Thinned(all, pieces));
    }
    parts.push_back(sources_.search);
    std::reverse(parts.begin(), parts.end());
    return parts;
  }

  FitTimes Searched(const std::vector<FitTimes>& on_grid) {
    std::vector<FitTimes> initial = on_grid;
    for (const char* grid : kSearchGrids) {
      if (grid == o_.grid) continue;
      for (const FitTimes& times : Starts(grid)) initial.push_back(times);
    }
    const int64_t each = o_.nfe * CountOf(sources_.search);
    TimeSearchOptions search{.max_candidates = std::max<int64_t>(1, o_.budget / kSearchShare / each),
                             .start = o_.start == StartChoice::kAuto};
    search.report = [&](int64_t, double best) { return Report(searched_, best); };
    const TimeSearchResult found = SearchTimes(
        *schedule_, initial,
        [&](const FitTimes& times) {
          FitOptions fit = OptionsFor(times);
          fit.objective = nullptr;  // the search compares squared errors
          const FitResult result = FitTable(times, schedule_, sources_.search, fit);
          searched_ += result.evaluations;
          return result.rows.back().error;
        },
        search);
    evaluations_ += searched_;
    best_.stages.push_back({"times", CountOf(sources_.search), found.candidates, searched_, found.objective});
    best_.interrupted = found.stopped;
    return found.times;
  }

  const FitSolverOptions& o_;
  SchedulePtr schedule_;
  const FitSources& sources_;
  const SpectrumStatistics* statistics_;
  FittedSolver best_;
  int64_t evaluations_ = 0;
  int64_t searched_ = 0;  // evaluations that count against the budget
};

}  // namespace

FittedSolver FitSolver(const FitSolverOptions& options, SchedulePtr schedule, const FitSources& sources,
                       const SpectrumStatistics* statistics) {
  return Solver(options, std::move(schedule), sources, statistics).Run();
}

}  // namespace gas
