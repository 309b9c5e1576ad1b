// One evaluation of a frozen network, as every family does it.
#ifndef GAS_MODELS_RUN_NETWORK_H_
#define GAS_MODELS_RUN_NETWORK_H_

#include "gas/models/batch_parallel.h"

namespace gas {

// f(images, shared, begin, end) for the whole batch, in parts where threads allow (models/batch_parallel.h).
// f is given images [B,C,H,W] channels last, and convolutions and matrix products inside it are in `dtype`.
// The result has the dtype of `images`. Differentiable once in images and shared.
Tensor RunNetwork(const Tensor& images, const Tensor& shared, torch::Dtype dtype, const BatchFunction& f);

}  // namespace gas

#endif  // GAS_MODELS_RUN_NETWORK_H_
