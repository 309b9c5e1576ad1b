// DPM-Solver and DPM-Solver++ in their multistep forms (Lu et al. 2022a, 2022b; docs/math/dpmpp.md).
#ifndef GAS_SOLVER_DPM_MULTISTEP_H_
#define GAS_SOLVER_DPM_MULTISTEP_H_

#include "gas/solver/dpmpp_step.h"
#include "gas/solver/exponential_step.h"
#include "gas/solver/step_table.h"

namespace gas {

// How a second-order step weighs the first difference.
enum class SecondOrder {
  kMidpoint,  // half the weight of the value ("dpmsolver")
  kTaylor,    // the weight of the first derivative ("taylor")
};

struct DpmMultistepOptions {
  Interpolant interpolant = Interpolant::kData;
  int64_t order = 2;  // 1 (DDIM) to 3
  SecondOrder second_order = SecondOrder::kMidpoint;
  // Lower the order of the last steps of grids of fewer than 10 steps.
  bool lower_order_final = true;
  ThirdOrderBase third_order = ThirdOrderBase::kPublished;
};

// grid [N+1] float64 descending times. One evaluation at each of the first N; the first steps have the order
// that the history allows. Throws Error(kBadOption) for an order outside [1, 3] or a grid that is not
// descending.
StepTable DpmMultistepTable(const DpmMultistepOptions& options, const NoiseSchedule& schedule,
                            const Tensor& grid);

// DDIM (Song et al. 2021), the first order of both forms: Euler steps in sigma / alpha.
StepTable DdimTable(const NoiseSchedule& schedule, const Tensor& grid);

}  // namespace gas

#endif  // GAS_SOLVER_DPM_MULTISTEP_H_
