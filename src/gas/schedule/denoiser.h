// What the sampler needs of a network: a callable, and how its output becomes a data prediction.
#ifndef GAS_SCHEDULE_DENOISER_H_
#define GAS_SCHEDULE_DENOISER_H_

#include "gas/core/enum_names.h"
#include "gas/core/torch.h"
#include "gas/schedule/condition.h"

namespace gas {

// What the network's output F means for a state x = alpha * x0 + sigma * eps.
enum class PredictionType {
  kNoise,     // eps
  kData,      // x0
  kVelocity,  // v = alpha * eps - sigma * x0 (Salimans and Ho 2022)
  kFlow,      // u = eps - x0, the velocity of the straight path (Liu et al. 2022)
};

inline constexpr auto kPredictionTypeNames =
    NamesOf<PredictionType>("prediction type", {{PredictionType::kNoise, "noise"},
                                                {PredictionType::kData, "data"},
                                                {PredictionType::kVelocity, "velocity"},
                                                {PredictionType::kFlow, "flow"}});

// The point at which the network is evaluated. Each a scalar tensor [] float64, possibly carrying gradients.
struct NoiseLevel {
  Tensor t;
  Tensor alpha;
  Tensor sigma;
};

// A frozen network. Evaluations are pure: same inputs, same output; no random state is touched.
class Denoiser {
 public:
  virtual ~Denoiser() = default;
  virtual PredictionType prediction_type() const = 0;
  // x [B,...] states at `at`. Returns F, same shape, dtype and device, differentiable in x and `at`.
  virtual Tensor Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const = 0;
};

// m = state * x + network * F; each a scalar tensor [] float64.
struct DataPredictionWeights {
  Tensor state;
  Tensor network;
};

// The weights that turn the output F of a network evaluated at `at` into the data prediction at (alpha,
// sigma): F gives eps with alpha, sigma of the evaluation point, and m = (x - sigma * eps) / alpha. When both
// points agree and the network predicts the data the weights are exactly 0 and 1.
DataPredictionWeights DataPredictionOf(PredictionType type, const NoiseLevel& at, const Tensor& alpha,
                                       const Tensor& sigma);

}  // namespace gas

#endif  // GAS_SCHEDULE_DENOISER_H_
