// The closed-form fit: a step table whose rows are regressions on the teacher's states (docs/math/fit.md).
#ifndef GAS_FIT_FIT_H_
#define GAS_FIT_FIT_H_

#include <limits>
#include <memory>
#include <vector>

#include "gas/fit/objective.h"
#include "gas/fit/trajectories.h"
#include "gas/solver/step_table.h"

namespace gas {

// Where a table evaluates its network. The first time may lie below the schedule's start if there is a
// spectral start.
struct FitTimes {
  Tensor t;       // [N+1] float64 strictly descending
  Tensor t_eval;  // [N] what the network sees; undefined: t
};

struct FitOptions {
  int64_t history = 0;  // predictions that a row may use; 0: all
  bool preserve_constant =
      false;  // a constant prediction stays constant: sum_j a alpha_j + sum_j b = alpha_{n+1}
  bool equal_trajectories = false;   // weigh trajectories by the inverse of their sample's variance
  SpectralBasisPtr basis = nullptr;  // frequency bands of the coefficients; null: scalar
  SpectralStartPtr start = nullptr;  // needs a basis for its transform
  ObjectivePtr objective = nullptr;  // of the last row; null: squared error
  int64_t folds = 4;                 // of the cross-validation that chooses the ridge of each regression
  uint64_t cache_bytes =
      uint64_t{4} << 30;  // network outputs kept between rows; beyond, they are computed again
  // Ridges to choose from, ascending, towards DPM-Solver++ (scalar rows) and towards the scalar row (bands).
  std::vector<double> ridges = {0,    1e-12, 1e-10, 1e-8, 1e-6, 1e-5,
                                1e-4, 1e-3,  1e-2,  1e-1, 1,    std::numeric_limits<double>::infinity()};
};

struct FitRow {
  double error = 0;  // cross-validated mean squared error of x_{n+1}
  double ridge = 0;  // of the scalar regression
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
// at t_{n+1} on [x_n, m_n, m_{n-1}, ...]. The network is only called. Memory does not grow with the number of
// trajectories beyond cache_bytes. Throws Error(kNumeric) when the network's outputs are not finite.
FitResult FitTable(const FitTimes& times, SchedulePtr schedule, const TrajectorySource& source,
                   const FitOptions& options = {});

// Keeps all rows of `table` but the last, which is fitted anew; FitResult::rows has that one alone. `options`
// as for FitTable; a scalar table becomes a spectral one if they have bands.
FitResult FitLastRow(const StepTable& table, SchedulePtr schedule, const TrajectorySource& source,
                     const FitOptions& options = {});

// Mean squared difference to the teacher's samples per entry, when `table` runs on the trajectories' noise.
double ErrorOn(const StepTable& table, const TrajectorySource& source);

}  // namespace gas

#endif  // GAS_FIT_FIT_H_
