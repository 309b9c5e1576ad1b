// The closed-form fit: a step table whose rows are regressions on the teacher's states (docs/math/fit.md).
#ifndef GAS_FIT_FIT_H_
#define GAS_FIT_FIT_H_

#include <limits>
#include <memory>
#include <optional>
#include <vector>

#include "gas/fit/objective.h"
#include "gas/fit/spectral_start.h"
#include "gas/fit/trajectories.h"
#include "gas/solver/step_table.h"

namespace gas {

// Where a table evaluates its network.
struct FitTimes {
  Tensor t;       // [N+1] float64 strictly descending
  Tensor t_eval;  // [N] what the network sees; undefined: t
  // The time to which a spectral start jumps from pure noise, which is t[0] then. Without one the first
  // evaluation is made at pure noise and t[0] is the schedule's start, or later than it as in the grid gits.
  std::optional<double> start;
};

struct FitOptions {
  int64_t history = 0;  // predictions that a row may use; 0: all
  // A constant prediction stays constant: sum_j a alpha_j + sum_j b = alpha_{n+1}.
  bool preserve_constant = false;
  // By what share of its brightness the sample of a constant image may change (solver/constant_image.h): the
  // regression of the last row keeps to it. What an objective makes of that row need not.
  std::optional<double> most_brightness_change = {};
  bool equal_trajectories = false;  // weigh trajectories by the inverse of their sample's variance
  SpectralBasisPtr basis =
      nullptr;  // frequency bands of the coefficients, or of a spectral start; null: neither
  std::shared_ptr<const SpectrumStatistics> statistics = nullptr;  // of the data; needed for a spectral start
  ObjectivePtr objective = nullptr;                                // of the last row; null: squared error
  int64_t folds = 4;  // of the cross-validation that chooses the ridge of each regression
  // Network outputs kept between rows; beyond, they are computed again.
  uint64_t cache_bytes = uint64_t{4} << 30;
  // Ridges to choose from, ascending, towards DPM-Solver++ (scalar rows) and towards the scalar row (bands).
  std::vector<double> ridges = {0,    1e-12, 1e-10, 1e-8, 1e-6, 1e-5,
                                1e-4, 1e-3,  1e-2,  1e-1, 1,    std::numeric_limits<double>::infinity()};
};

struct FitRow {
  double error = 0;                      // cross-validated mean squared error of x_{n+1}
  double ridge = 0;                      // of the scalar regression
  std::optional<double> objective = {};  // the samples' mean distance, of a last row that minimises one

  // What tables are compared by.
  double loss() const { return objective.value_or(error); }
};

struct FitResult {
  StepTable table;
  std::vector<FitRow> rows;
  int64_t evaluations = 0;  // network evaluations, each of one sample
};

// What rows are held towards: DPM-Solver++ on times t [N+1], of corrected third order, or of the order that a
// history of so many predictions allows (0: all).
StepTable FitBase(const NoiseSchedule& schedule, const Tensor& t, int64_t history);

// Fits rows 0 .. N-1 in turn: the student runs to step n, then row n is the regression of the teacher's state
// at t_{n+1} on [x_n, m_n, m_{n-1}, ...]. States may have any rank [B,...], except that bands and a spectral
// start need [B,C,H,W]. The network is only called. Memory does not grow with the number of trajectories
// beyond cache_bytes. Throws Error(kBadOption) for times that begin later than the schedule without a
// spectral start, Error(kNumeric) when the network's outputs are not finite.
FitResult FitTable(const FitTimes& times, SchedulePtr schedule, const TrajectorySource& source,
                   const FitOptions& options = {});

// Keeps all rows of `table` but the last, which is fitted anew; FitResult::rows has that one alone. `options`
// as for FitTable, except that the start is the table's; a scalar table becomes a spectral one if they have
// bands.
FitResult FitLastRow(const StepTable& table, SchedulePtr schedule, const TrajectorySource& source,
                     const FitOptions& options = {});

// How far samples are from the teacher's, when `table` runs on the trajectories' noise.
struct SampleErrors {
  double squared = 0;                    // mean squared difference of an entry
  std::optional<double> objective = {};  // mean distance of a sample

  // What tables are compared by.
  double loss() const { return objective.value_or(squared); }
};
// `objective` null: the squares alone.
SampleErrors ErrorsOn(const StepTable& table, const TrajectorySource& source, const Objective* objective);
// The squares alone.
double ErrorOn(const StepTable& table, const TrajectorySource& source);

}  // namespace gas

#endif  // GAS_FIT_FIT_H_
