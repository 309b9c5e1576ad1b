// The few operations that networks are made of, each in this one place, so that it can be made fast in one
// place. All images are [B,C,H,W]; outputs keep the input's memory format (channels last is the fast one on
// CPUs).
#ifndef GAS_NN_OPS_H_
#define GAS_NN_OPS_H_

#include <vector>

#include "gas/core/torch.h"

namespace gas::nn {

// Convolution with weight [O,C/groups,k,k], bias [O] or undefined, stride 1 and one group unless said.
Tensor Conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, int64_t padding, int64_t stride = 1,
              int64_t groups = 1);

// Leaky ReLU of x + bias, bias [C]: v for v > 0, slope * v otherwise.
Tensor BiasedLeakyRelu(const Tensor& x, const Tensor& bias, double slope);

// x [B,I], weight [O,I], bias [O] or undefined -> [B,O].
Tensor FullyConnected(const Tensor& x, const Tensor& weight, const Tensor& bias);

// Group normalisation, weight and bias [C]; with `silu` followed by x * sigmoid(x).
Tensor GroupNorm(const Tensor& x, int64_t groups, const Tensor& weight, const Tensor& bias, double eps,
                 bool silu = false);

// The separable filter taps (x) taps / sum^2 as [1,1,k,k] float32. Throws Error(kBadOption) for no taps, more
// than 64, and taps that add up to 0.
Tensor ResampleFilter(const std::vector<double>& taps);

// Doubling and halving with `filter` [1,1,k,k] per channel, zero outside the image. `padding` as in a plain
// convolution with the filter ((k - 1) / 2 keeps the size exactly doubled or halved). Upsampling scales the
// filter by 4, so that constants stay constant.
Tensor Upsample2x(const Tensor& x, const Tensor& filter, int64_t padding);
Tensor Downsample2x(const Tensor& x, const Tensor& filter, int64_t padding);

// The same for two equal taps without padding, by direct kernels that are several times faster.
Tensor UpsampleBox2x(const Tensor& x);
Tensor DownsampleBox2x(const Tensor& x);

// Self-attention over positions. qkv [B,3C,H,W] with channels ordered (head, channel, q/k/v) as in EDM.
// Weights are computed in float32 or wider. Returns [B,C,H,W].
Tensor SelfAttention(const Tensor& qkv, int64_t heads);

// [B] -> [B,channels]: cos then sin of t * max_positions^(-i / (channels/2 - (endpoint ? 1 : 0))).
// The frequencies are float32, as in the published networks, whatever the dtype of t.
Tensor PositionalEmbedding(const Tensor& t, int64_t channels, bool endpoint, double max_positions = 10000);

// [B] -> [B,2F]: cos then sin of 2 pi t * frequencies [F].
Tensor FourierEmbedding(const Tensor& t, const Tensor& frequencies);

}  // namespace gas::nn

#endif  // GAS_NN_OPS_H_
