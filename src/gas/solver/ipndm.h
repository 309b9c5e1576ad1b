// Improved pseudo linear multistep (Zhang and Chen 2022; Liu et al. 2022): Adams-Bashforth on the noise
// prediction, with the weights of equal steps on any grid (docs/math/ipndm_deis.md).
#ifndef GAS_SOLVER_IPNDM_H_
#define GAS_SOLVER_IPNDM_H_

#include "gas/schedule/noise_schedule.h"
#include "gas/solver/step_table.h"

namespace gas {

// grid [N+1] float64 descending times; order 1 (DDIM) to 4, less while the history is short. t_eval [N]
// float64, if defined: the times that the network sees, which may differ from those of the coefficients.
// Throws Error(kBadOption) for an order outside [1, 4], a grid that is not descending, or t_eval of another
// length.
StepTable IpndmTable(int64_t order, const NoiseSchedule& schedule, const Tensor& grid,
                     const Tensor& t_eval = {});

}  // namespace gas

#endif  // GAS_SOLVER_IPNDM_H_
