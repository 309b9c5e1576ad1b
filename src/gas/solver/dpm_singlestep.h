// DPM-Solver and DPM-Solver++ in their singlestep forms: every step makes its own inner evaluations.
#ifndef GAS_SOLVER_DPM_SINGLESTEP_H_
#define GAS_SOLVER_DPM_SINGLESTEP_H_

#include "gas/solver/dpm_multistep.h"

namespace gas {

struct DpmSinglestepOptions {
  Interpolant interpolant = Interpolant::kData;
  SecondOrder kind = SecondOrder::kMidpoint;  // of second- and third-order steps
};

// How `nfe` evaluations are divided into steps of at most `order` in [1, 3]: as many full steps as leave a
// last one, or two, of lower order.
std::vector<int64_t> SinglestepOrders(int64_t nfe, int64_t order);

// The times [nfe + 1] of all evaluations, and of the sample, for steps of these orders on grid `name`. In
// grids uniform in lambda the steps are of equal size, whatever their order; in all others the evaluations
// are those of the grid.
Tensor SinglestepGrid(std::string_view name, const NoiseSchedule& schedule,
                      const std::vector<int64_t>& orders, double t_eps);

// times [N+1] float64 descending, N the sum of the orders; step i starts where step i-1 ends and evaluates
// the network at the next orders[i] times. Throws Error(kBadOption) for orders outside [1, 3], a wrong number
// of times, or times that are not descending.
StepTable DpmSinglestepTable(const DpmSinglestepOptions& options, const NoiseSchedule& schedule,
                             const Tensor& times, const std::vector<int64_t>& orders);

}  // namespace gas

#endif  // GAS_SOLVER_DPM_SINGLESTEP_H_
