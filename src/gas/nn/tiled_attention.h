// Attention on the CPU by tiles: the weights of a few queries and keys at a time, which stay in a core's
// cache (FlashAttention, Dao et al. 2022).
#ifndef GAS_NN_TILED_ATTENTION_H_
#define GAS_NN_TILED_ATTENTION_H_

#include "gas/nn/attention.h"

namespace gas::nn {

// Whether the functions below take these: on the CPU, float32 or bfloat16, all of one dtype, none empty.
bool CanTileAttention(const Tensor& q, const Tensor& k, const Tensor& v);

struct TiledResult {
  Tensor output;    // [B,L,heads,D], of the inputs' dtype
  Tensor log_sums;  // [B,heads,L] float32: log of the sum over keys of exp(q k / sqrt(D))
};

// softmax(q k^T / sqrt(D)) v of q [B,L,heads,D], k and v [B,M,heads,D], any strides. Products of bfloat16 are
// rounded as LibTorch rounds them, shares too; sums and softmax are float32. A query's result depends neither
// on the batch nor on threads. Not differentiable. Needs CanTileAttention.
TiledResult TiledAttention(const Tensor& q, const Tensor& k, const Tensor& v, Sees sees);

struct AttentionGradients {
  Tensor q, k, v;  // as the inputs are
};

// For the gradient of the output, with float32 products. A thread takes all queries and keys of a head.
AttentionGradients TiledAttentionGradients(const Tensor& gradient, const Tensor& q, const Tensor& k,
                                           const Tensor& v, const TiledResult& result, Sees sees);

}  // namespace gas::nn

#endif  // GAS_NN_TILED_ATTENTION_H_
