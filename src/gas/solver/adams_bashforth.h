// The method of Adams and Bashforth for equal steps, which the pseudo linear multistep solvers share.
#ifndef GAS_SOLVER_ADAMS_BASHFORTH_H_
#define GAS_SOLVER_ADAMS_BASHFORTH_H_

#include <array>
#include <cstdint>
#include <vector>

#include "gas/solver/exponential_step.h"
#include "gas/solver/table_builder.h"

namespace gas {

inline constexpr int64_t kMostAdamsBashforth = 4;  // the highest order

// The weights of order 1 to 4, newest first.
const std::vector<double>& AdamsBashforthWeights(int64_t order);

// The state at `to` when eps is `noise` all along the step from `state`, which lies at `from`: DDIM's.
LinearForm NoiseStep(const SchedulePoint& from, const SchedulePoint& to, const LinearForm& state,
                     const LinearForm& noise);

}  // namespace gas

#endif  // GAS_SOLVER_ADAMS_BASHFORTH_H_
