// Pseudo numerical methods (Liu et al. 2022), as diffusers' PNDMScheduler runs them with skip_prk_steps and
// as Stable Diffusion's PLMS sampler did: pseudo linear multistep, begun by an averaged step
// (docs/math/ipndm_deis.md).
#ifndef GAS_SOLVER_PNDM_H_
#define GAS_SOLVER_PNDM_H_

#include "gas/schedule/noise_schedule.h"
#include "gas/solver/step_table.h"

namespace gas {

// grid [N+1] float64 descending times, N at least 1. Takes N+1 evaluations, of which two are at grid[1].
// Throws Error(kBadOption) for a grid that is not descending.
StepTable PndmTable(const NoiseSchedule& schedule, const Tensor& grid);

}  // namespace gas

#endif  // GAS_SOLVER_PNDM_H_
