#include "gas/fit/solver_race.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "gas/core/error.h"
#include "gas/core/interrupt.h"
#include "gas/fit/coefficient_groups.h"
#include "gas/grid/time_grid.h"
#include "gas/solver/lint.h"

namespace gas {
namespace {

// How far beyond pure noise, in lambda, a start is tried at first, by how much further each next one is, and
// the furthest.
constexpr double kStartStep = 0.35, kLatestStart = 3.5;
// After so many starts in a row that are worse than the best, later ones are not tried.
constexpr int kWorseStarts = 2;

class Race {
 public:
  Race(const RaceOptions& options, SchedulePtr schedule, const TrajectorySource& source)
      : o_(options), schedule_(std::move(schedule)), source_(source) {}

  RaceResult Run() {
    try {
      Enter(o_.first);
      RaceGrids();
      if (o_.starts) RaceStarts();
      RaceBands();
    } catch (const Error& error) {
      if (!IsInterrupt(error) || result_.entries.empty()) throw;
      AnswerInterrupt();
      result_.stopped = true;
    }
    return result_;
  }

 private:
  const RaceEntry& best() const { return result_.entries.front(); }
  bool MayEnter() const {
    const int64_t each = o_.nfe * source_.count();
    return result_.entries.empty() || result_.evaluations + each <= o_.budget;
  }

  void RaceGrids() {
    for (const std::string& grid : o_.grids) {
      SolverShape shape = o_.first;
      shape.grid = grid;
      if (grid != o_.first.grid) Enter(shape);
    }
  }

  void RaceStarts() {
    const SolverShape from_noise = best().shape;
    const std::optional<std::string> second = SecondGrid();
    const double noise = schedule_->HalfLogSnr(schedule_->t_start());
    int worse = 0;  // in a row
    for (int i = 1; worse < kWorseStarts && i * kStartStep <= kLatestStart; ++i) {
      SolverShape shape = from_noise;
      shape.start = schedule_->TimeOfHalfLogSnr(noise + i * kStartStep);
      if (*shape.start <= o_.t_eps) break;
      worse = Enter(shape) ? 0 : worse + 1;
    }
    if (!best().shape.start || !second) return;
    SolverShape shape = best().shape;
    shape.grid = *second;
    Enter(shape);
  }

  std::optional<std::string> SecondGrid() const {
    for (const RaceEntry& entry : result_.entries) {
      if (entry.shape.grid != best().shape.grid) return entry.shape.grid;
    }
    return {};
  }

  void RaceBands() {
    const SolverShape scalar = best().shape;
    for (const SpectralBasisPtr& bands : o_.bands) {
      SolverShape shape = scalar;
      shape.bands = bands;
      Enter(shape);
    }
  }

  // Whether the shape is the best so far. Nothing is done where the budget does not allow it.
  bool Enter(const SolverShape& shape) {
    if (!MayEnter()) return false;
    const RaceEntry entry = Measured(shape);
    const auto place =
        std::find_if(result_.entries.begin(), result_.entries.end(), [&](const RaceEntry& other) {
          return other.unstable != entry.unstable ? other.unstable : other.error > entry.error;
        });
    const bool best = place == result_.entries.begin();
    result_.entries.insert(place, entry);
    if (o_.report) o_.report(shape, entry.error, result_.evaluations);
    return best;
  }

  RaceEntry Measured(const SolverShape& shape) {
    if (const std::optional<nlohmann::json> known = o_.journal.Find(shape.Name())) {
      result_.evaluations += known->at("evaluations").get<int64_t>();
      const nlohmann::json& error = known->at("error");
      return {shape,
              error.is_null() ? std::numeric_limits<double>::infinity() : error.get<double>(),
              known->at("unstable").get<bool>(),
              {}};
    }
    const FitTimes times = TimesOf(shape, *schedule_, o_.nfe, o_.t_eps);
    RaceEntry entry{shape, std::numeric_limits<double>::infinity(), true, {}};
    // What outputs that are not finite have cost is not told; at most this.
    int64_t evaluations = o_.nfe * source_.count();
    try {
      entry.fit = FitTable(times, schedule_, source_, FitOptionsOf(shape, o_.fit));
      evaluations = entry.fit->evaluations;
      entry.error = entry.fit->rows.back().error;
      entry.unstable = LintTable(entry.fit->table, *schedule_).verdict == LintVerdict::kUnstable;
    } catch (const Error& failure) {
      if (failure.code() != Errc::kNumeric) throw;
    }
    result_.evaluations += evaluations;
    const bool finite = std::isfinite(entry.error);
    o_.journal.Keep(shape.Name(), {{"error", finite ? nlohmann::json(entry.error) : nlohmann::json()},
                                   {"unstable", entry.unstable},
                                   {"evaluations", evaluations}});
    return entry;
  }

  const RaceOptions& o_;
  SchedulePtr schedule_;
  const TrajectorySource& source_;
  RaceResult result_;
};

}  // namespace

std::string SolverShape::Name() const {
  std::string name = grid;
  if (CoefficientGroups(bands).spectral()) name += fmt::format(", {} bands", bands->bands());
  if (start) name += fmt::format(", start at {:.4g}", *start);
  return name;
}

FitTimes TimesOf(const SolverShape& shape, const NoiseSchedule& schedule, int64_t nfe, double t_eps) {
  const bool from_noise = !shape.start || *shape.start >= schedule.t_start();
  if (from_noise) return {MakeGrid(shape.grid, schedule, nfe, t_eps), {}, {}};
  if (IsListOfTimes(shape.grid)) return {MakeGrid(shape.grid, schedule, nfe, t_eps), {}, shape.start};
  return {MakeGridBetween(shape.grid, schedule, nfe, *shape.start, t_eps), {}, shape.start};
}

FitOptions FitOptionsOf(const SolverShape& shape, const FitOptions& fit) {
  FitOptions options = fit;
  if (shape.bands != nullptr) options.basis = shape.bands;
  return options;
}

RaceResult RaceSolvers(const RaceOptions& options, SchedulePtr schedule, const TrajectorySource& source) {
  return Race(options, std::move(schedule), source).Run();
}

}  // namespace gas
