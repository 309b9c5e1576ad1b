// DEIS: Adams-Bashforth on the noise prediction with the weights of the very steps (Zhang and Chen 2022;
// docs/math/ipndm_deis.md).
#ifndef GAS_SOLVER_DEIS_H_
#define GAS_SOLVER_DEIS_H_

#include "gas/schedule/noise_schedule.h"
#include "gas/solver/step_table.h"

namespace gas {

// What the polynomial through the noise predictions is of.
enum class DeisVariable {
  kTime,    // t: tAB
  kRho,     // sigma/alpha: rhoAB, the linear multistep method of k-diffusion ("LMS")
  kLogRho,  // log(sigma/alpha): as diffusers' DEISMultistepScheduler
};

// grid [N+1] float64 descending times. degree 0 (DDIM) to 3 of the polynomial through the newest noise
// predictions, less while the history is short; the order of convergence is degree + 1. Throws
// Error(kBadOption) for another degree or a grid that is not descending.
StepTable DeisTable(int64_t degree, const NoiseSchedule& schedule, const Tensor& grid,
                    DeisVariable variable = DeisVariable::kTime);

}  // namespace gas

#endif  // GAS_SOLVER_DEIS_H_
