// A closed-form fit that training can begin from.
#ifndef GAS_TRAIN_INITIAL_FIT_H_
#define GAS_TRAIN_INITIAL_FIT_H_

#include "gas/fit/fit_solver.h"

namespace gas {

struct InitialFit {
  StepTable table;
  double least_ridge = 0;   // to which its regressions were held; 0: the plain fit
  int64_t evaluations = 0;  // of the network, each of one sample, by all attempts
  // By how much errors of predictions arrive in the sample (solver/lint.h): of the plain fit, and the most
  // that was allowed.
  double plain_noise_gain = 0, most_noise_gain = 0;
};

// The plain fit if it amplifies errors no more than the lint's bound; otherwise the one that is held least
// towards DPM-Solver++, at the end being it, and does not. Where predictions are nearly collinear, as those
// of points at high noise are, the plain fit has large coefficients that cancel: its own error is the least,
// but a step of training, which moves every coefficient by about the step size, throws it far off. Each
// further attempt costs another fit. Throws what FitSolver throws.
InitialFit FitToTrainFrom(const FitSolverOptions& options, SchedulePtr schedule, const FitSources& sources);

}  // namespace gas

#endif  // GAS_TRAIN_INITIAL_FIT_H_
