// Attention: each position becomes an average of values, weighted by how its query fits their keys.
#ifndef GAS_NN_ATTENTION_H_
#define GAS_NN_ATTENTION_H_

#include "gas/core/torch.h"

namespace gas::nn {

// What a query may look at: all keys, or those at its own position and before it, as in texts.
enum class Sees { kAll, kEarlier };

// q [B,L,C], k and v [B,M,C], C divided among `heads` of D = C / heads channels each -> [B,L,C]. Every head
// is softmax(q k^T / sqrt(D)) v (Vaswani et al. 2017), its softmax in float32 or wider. Memory grows with L +
// M, not with L M: of float32 and bfloat16 on the CPU weights are formed tile by tile
// (nn/tiled_attention.h), elsewhere, where they are many, for a part of the L rows at a time, and for a
// gradient once more. Twice differentiable; the second time by parts of the rows.
Tensor MultiHeadAttention(const Tensor& q, const Tensor& k, const Tensor& v, int64_t heads,
                          Sees sees = Sees::kAll);

// How the 3C channels of a convolution that makes queries, keys and values are ordered, slowest first.
enum class QkvOrder {
  kHeadChannelPart,  // EDM
  kHeadPartChannel,  // guided-diffusion and latent diffusion; guided-diffusion calls it legacy
  kPartHeadChannel,  // guided-diffusion's new attention order, and consistency models
};

// Self-attention over the positions of qkv [B,3C,H,W], any layout in memory. Returns [B,C,H,W], channels
// last.
Tensor SelfAttention(const Tensor& qkv, int64_t heads, QkvOrder order);

}  // namespace gas::nn

#endif  // GAS_NN_ATTENTION_H_
