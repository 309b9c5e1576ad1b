// A network evaluation that keeps no activations for the backward pass (Chen et al. 2016).
#ifndef GAS_SOLVER_CHECKPOINT_H_
#define GAS_SOLVER_CHECKPOINT_H_

#include "gas/schedule/denoiser.h"

namespace gas {

// denoiser.Predict(x, at, condition), with the same gradients in x and `at`, found by a second evaluation
// with the same condition in the backward pass. `denoiser` must live until then. Once differentiable, and not
// in the condition or the network's own weights.
Tensor PredictWithoutActivations(const Denoiser& denoiser, const Tensor& x, const NoiseLevel& at,
                                 const Condition& condition);

}  // namespace gas

#endif  // GAS_SOLVER_CHECKPOINT_H_
