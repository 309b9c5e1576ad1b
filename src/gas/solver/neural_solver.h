// NeuralSolver: times and multistep coefficients that were searched for rectified flow (Wang et al. 2025,
// "Differentiable Solver Search for Fast Diffusion Sampling"; docs/import.md).
#ifndef GAS_SOLVER_NEURAL_SOLVER_H_
#define GAS_SOLVER_NEURAL_SOLVER_H_

#include "gas/schedule/noise_schedule.h"
#include "gas/solver/step_table.h"

namespace gas {

// x' = x + dt_n (sum_{j<n} c_nj v_j + (1 - sum_{j<n} c_nj) v_n) with the velocities v = x_0 - eps towards the
// data. The published steps add up to 1 within 3e-4, and what they arrive at is the sample: it is said to lie
// at t_eps. nfe is 5 to 10 or 15. Throws Error(kBadOption) for another number and for a schedule that is not
// rectified flow.
StepTable NeuralSolverTable(const NoiseSchedule& schedule, int64_t nfe, double t_eps);

}  // namespace gas

#endif  // GAS_SOLVER_NEURAL_SOLVER_H_
