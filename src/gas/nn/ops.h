// The few operations that networks are made of, each in this one place, so that it can be made fast in one
// place. All images are [B,C,H,W]; outputs keep the input's memory format (channels last is the fast one on
// CPUs).
#ifndef GAS_NN_OPS_H_
#define GAS_NN_OPS_H_

#include <vector>

#include "gas/nn/frozen_convolution.h"

namespace gas::nn {

// Convolution with weight [O,C/groups,k,k], bias [O] or undefined, stride 1 and one group unless said.
// Where nothing is differentiated, a large image on the CPU is convolved by strips of rows.
Tensor Conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, int64_t padding, int64_t stride = 1,
              int64_t groups = 1);
// The convolution for which `frozen` was made (nn/convolution.h).
Tensor Conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const FrozenPtr& frozen);

// Conv2d(UpsampleBox2x(x), weight, bias, k / 2), weight [O,C,k,k] with an odd k. Where nothing is
// differentiated, a large doubled image is made strip by strip too, so that it is never whole in memory.
Tensor ConvolvedUpsampling(const Tensor& x, const Tensor& weight, const Tensor& bias);

// Leaky ReLU of x + bias, bias [C]: v for v > 0, slope * v otherwise.
Tensor BiasedLeakyRelu(const Tensor& x, const Tensor& bias, double slope);

// x [...,I], weight [O,I], bias [O] or undefined -> [...,O].
Tensor FullyConnected(const Tensor& x, const Tensor& weight, const Tensor& bias);

// Group normalisation, weight and bias [C]; with `silu` followed by x * sigmoid(x).
Tensor GroupNorm(const Tensor& x, int64_t groups, const Tensor& weight, const Tensor& bias, double eps,
                 bool silu = false);

// The same of an x that nobody reads afterwards: where nothing is differentiated, a large result takes its
// memory, and its dtype.
Tensor GroupNormInPlace(const Tensor& x, int64_t groups, const Tensor& weight, const Tensor& bias, double eps,
                        bool silu = false);

// Normalisation over the last dimension, weight and bias of its size C, or both undefined: x [...,C]. In
// float32 where x is narrower than the weights.
Tensor LayerNorm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps);

// The Gaussian error linear unit by the error function, and its approximations by the hyperbolic tangent and
// as x sigmoid(1.702 x) (Hendrycks and Gimpel 2016).
Tensor Gelu(const Tensor& x);
Tensor TanhGelu(const Tensor& x);
Tensor QuickGelu(const Tensor& x);

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

// [B] -> [B,channels]: cos then sin of t * max_positions^(-i / (channels/2 - (endpoint ? 1 : 0))).
// The frequencies are float32, as in the published networks, whatever the dtype of t.
Tensor PositionalEmbedding(const Tensor& t, int64_t channels, bool endpoint, double max_positions = 10000);

// The embedding of guided-diffusion, latent diffusion and DiT. [B] -> [B,channels], an even number of them:
// cos then sin of t * exp(-ln(10000) i / (channels/2)), i from 0. Times may be fractional and negative. The
// frequencies are float32, and so are the steps to them, because at t = 1000 their rounding is seen in the
// output.
Tensor TimestepEmbedding(const Tensor& t, int64_t channels);

// [B] -> [B,2F]: cos then sin of 2 pi t * frequencies [F].
Tensor FourierEmbedding(const Tensor& t, const Tensor& frequencies);

}  // namespace gas::nn

#endif  // GAS_NN_OPS_H_
