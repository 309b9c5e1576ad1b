// Heun's method in sigma / alpha (docs/math/edm_heun.md).
#ifndef GAS_SOLVER_HEUN_H_
#define GAS_SOLVER_HEUN_H_

#include "gas/schedule/noise_schedule.h"
#include "gas/solver/step_table.h"

namespace gas {

// Heun in the ratio sigma / alpha, in which the flow is d(x/alpha) = eps d(sigma/alpha); the last step is an
// Euler step. grid [K+1] float64 descending times, 2K - 1 evaluations. Throws Error(kBadOption) for a grid
// that is not descending.
StepTable HeunTable(const NoiseSchedule& schedule, const Tensor& grid);

}  // namespace gas

#endif  // GAS_SOLVER_HEUN_H_
