#include "gas/solver/adams_bashforth.h"

#include "gas/core/error.h"

namespace gas {

const std::vector<double>& AdamsBashforthWeights(int64_t order) {
  static const std::array<std::vector<double>, kMostAdamsBashforth> weights = {{
      {1.0},
      {3.0 / 2, -1.0 / 2},
      {23.0 / 12, -16.0 / 12, 5.0 / 12},
      {55.0 / 24, -59.0 / 24, 37.0 / 24, -9.0 / 24},
  }};
  GAS_ASSERT(order >= 1 && order <= kMostAdamsBashforth);
  return weights[static_cast<size_t>(order - 1)];
}

LinearForm NoiseStep(const SchedulePoint& from, const SchedulePoint& to, const LinearForm& state,
                     const LinearForm& noise) {
  const ExponentialStep step = MakeExponentialStep(Interpolant::kNoise, from, to);
  return step.state * state + step.weight[0] * noise;
}

}  // namespace gas
