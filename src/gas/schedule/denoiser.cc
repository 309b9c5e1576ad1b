#include "gas/schedule/denoiser.h"

#include "gas/core/error.h"

namespace gas {

// With a, s = alpha, sigma of the evaluation point, eps follows from x and F alone (docs/math/step_table.md
// (3)):
//   data      eps = (x - a F) / s
//   velocity  eps = (s x + a F) / (a^2 + s^2)
//   flow      eps = (x + a F) / (a + s)
// and m = (x - sigma eps) / alpha. The state's weights are arranged so that the differences that vanish when
// both points agree are taken before any division: no digits are lost where alpha is small.
DataPredictionWeights DataPredictionOf(PredictionType type, const NoiseLevel& at, const Tensor& alpha,
                                       const Tensor& sigma) {
  const Tensor ratio = at.alpha / alpha;  // exactly 1 when the points agree
  switch (type) {
    case PredictionType::kNoise: return {1 / alpha, -sigma / alpha};
    case PredictionType::kData: return {(at.sigma - sigma) / (at.sigma * alpha), (sigma / at.sigma) * ratio};
    case PredictionType::kVelocity: {
      const Tensor power = at.alpha * at.alpha + at.sigma * at.sigma;
      const Tensor state = (at.alpha * ratio + at.sigma * ((at.sigma - sigma) / alpha)) / power;
      return {state, -sigma * ratio / power};
    }
    case PredictionType::kFlow: {
      const Tensor sum = at.alpha + at.sigma;
      return {(ratio + (at.sigma - sigma) / alpha) / sum, -sigma * ratio / sum};
    }
  }
  GAS_ASSERT(false);
}

}  // namespace gas
