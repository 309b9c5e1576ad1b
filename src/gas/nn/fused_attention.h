// Attention by LibTorch's own kernels, where it has them: for what nn/tiled_attention.h does not take.
#ifndef GAS_NN_FUSED_ATTENTION_H_
#define GAS_NN_FUSED_ATTENTION_H_

#include <optional>

#include "gas/nn/attention.h"

namespace gas::nn {

// softmax(q k^T / sqrt(D)) v of q [B,heads,L,D], k and v [B,heads,M,D] -> [B,heads,L,D], a few weights at a
// time, in float32 inside: scaled_dot_product_attention of LibTorch 2. Nothing before LibTorch 2, and for
// sizes or dtypes for which LibTorch would form all weights at once. Not for where a gradient is recorded:
// these kernels have no second one.
std::optional<Tensor> FusedAttention(const Tensor& q, const Tensor& k, const Tensor& v, Sees sees);

}  // namespace gas::nn

#endif  // GAS_NN_FUSED_ATTENTION_H_
