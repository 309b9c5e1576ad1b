// Levenberg-Marquardt over a whole table: times, offsets and rows at once, without backpropagation
// (docs/math/fit.md, section 7).
#ifndef GAS_FIT_REFINE_H_
#define GAS_FIT_REFINE_H_

#include <functional>

#include "gas/fit/fit.h"
#include "gas/fit/fit_journal.h"

namespace gas {

// The step of differences for networks that compute in float32, and for those whose products are in `dtype`.
// In bfloat16 it is wider. float16 keeps 3 bits more and could do with less, but has not been measured.
constexpr double kSingleStep = 0.01;
constexpr double DifferenceStepOf(torch::Dtype dtype) {
  return dtype == torch::kFloat32 ? kSingleStep : 0.04;
}

struct RefineOptions {
  int64_t budget = 0;  // network evaluations, each of one sample; a round that would exceed it is not begun
  // Of the last row, which is a regression in every trial; history and constraint hold for all rows.
  FitOptions fit = {};
  // Change of a coefficient in a difference, and half that of a time in units of the lambda-step beside. It
  // has to stand out of the network's rounding.
  double step = kSingleStep;
  // Two rounds in a row that gain less than this share of the error end the refinement.
  double least_gain = 1e-3;
  // A table that the lint calls unstable is not gone to, unless it calls the given one so.
  bool stay_stable = false;
  // Of an interrupted refinement, and for this one: the table after each round.
  JournalPart journal = {};
  // Called after each trial.
  std::function<void(int64_t spent, double best)> report = {};
};

struct RefineResult {
  FitResult fit;         // the table, its last row's error, and all evaluations spent
  int64_t rounds = 0;    // derivatives taken
  bool stopped = false;  // by an interrupt, which is answered
};

// Evaluations, of one sample each, that a round takes for each trajectory: derivatives and one trial.
int64_t RefineRoundCost(int64_t nfe, const FitOptions& fit);

// Minimises the mean squared difference between the table's samples and the teacher's, or what
// RefineOptions::fit has as the objective, over
//   the inner times, in lambda, and the network's times t_eval,
//   a[n][n] and b[n][j] of every row but the last (one number for all bands of a spectral table),
// with the last row fitted anew in each trial. Rows follow the times: a change of times changes
// DPM-Solver++'s row, and what the table has beyond that stays. Derivatives are differences of samples, so
// the network is only called. Intermediate states need no longer be the teacher's: they become those that
// serve the sample best, which row after row cannot see. Never worse than `table` on `source`, by the
// cross-validated error of the last row, or the mean distance if there is an objective. Throws what FitTable
// throws.
RefineResult RefineTable(const StepTable& table, SchedulePtr schedule, const TrajectorySource& source,
                         const RefineOptions& options);

}  // namespace gas

#endif  // GAS_FIT_REFINE_H_
