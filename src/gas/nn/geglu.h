// The gate of a transformer's feed-forward layer.
#ifndef GAS_NN_GEGLU_H_
#define GAS_NN_GEGLU_H_

#include "gas/core/torch.h"

namespace gas::nn {

// x [...,2C] and bias [2C] -> [...,C], of the dtype of x: the first half of x + bias times GELU, by the error
// function, of the second (Shazeer 2020). The layer before leaves its bias to this one, which passes over the
// numbers once. Twice differentiable.
Tensor Geglu(const Tensor& x, const Tensor& bias);

}  // namespace gas::nn

#endif  // GAS_NN_GEGLU_H_
