#include "gas/nn/ops.h"

#include <numeric>

#include "gas/core/error.h"
#include "gas/nn/convolution.h"
#include "gas/nn/flops.h"
#include "gas/nn/group_norm.h"

namespace gas::nn {
namespace {

Tensor PerChannel(const Tensor& filter, int64_t channels, const Tensor& like, double scale) {
  return (filter.to(like.scalar_type()) * scale).expand({channels, 1, filter.size(2), filter.size(3)});
}

// Those of the direct algorithm, whichever is used.
void CountConvolution(const Tensor& y, const Tensor& weight) {
  CountFlops(2.0 * static_cast<double>(y.numel()) * static_cast<double>(weight[0].numel()));
}

}  // namespace

Tensor Conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, int64_t padding, int64_t stride,
              int64_t groups) {
  Tensor y = Convolution(x, weight, bias, {.padding = padding, .stride = stride, .groups = groups});
  // One channel is laid out both ways at once, and LibTorch takes it for channels first.
  if (x.size(1) == 1 && x.is_contiguous(torch::MemoryFormat::ChannelsLast)) {
    y = y.contiguous(torch::MemoryFormat::ChannelsLast);
  }
  CountConvolution(y, weight);
  return y;
}

Tensor Conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const FrozenPtr& frozen) {
  const Tensor y = Convolution(x, weight, bias, frozen);
  CountConvolution(y, weight);
  return y;
}

Tensor BiasedLeakyRelu(const Tensor& x, const Tensor& bias, double slope) {
  return torch::leaky_relu(x + bias.to(x.scalar_type()).reshape({1, -1, 1, 1}), slope);
}

Tensor FullyConnected(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  CountFlops(2.0 * static_cast<double>(x.numel()) * static_cast<double>(weight.size(0)));
  return torch::linear(x, weight, bias);
}

Tensor GroupNorm(const Tensor& x, int64_t groups, const Tensor& weight, const Tensor& bias, double eps,
                 bool silu) {
  if (CanFuseGroupNorm(x, weight)) return FusedGroupNorm(x, groups, weight, bias, eps, silu);
  // Under bfloat16 casting the statistics stay in the weights' float32.
  if (x.scalar_type() != weight.scalar_type()) {
    return GroupNorm(x.to(weight.scalar_type()), groups, weight, bias, eps, silu);
  }
  const Tensor y = torch::group_norm(x, groups, weight, bias, eps);
  return silu ? torch::silu(y) : y;
}

Tensor LayerNorm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps) {
  const auto type =
      weight.defined() ? weight.scalar_type() : torch::promote_types(x.scalar_type(), torch::kFloat32);
  return torch::layer_norm(x.to(type), {x.size(-1)}, weight, bias, eps);
}

Tensor Gelu(const Tensor& x) { return torch::gelu(x); }

Tensor TanhGelu(const Tensor& x) { return torch::gelu(x, "tanh"); }

Tensor QuickGelu(const Tensor& x) { return x * torch::sigmoid(1.702 * x); }

Tensor Geglu(const Tensor& x) {
  const auto halves = x.chunk(2, -1);
  return halves[0] * Gelu(halves[1]);
}

Tensor ResampleFilter(const std::vector<double>& taps) {
  GAS_CHECK(!taps.empty() && taps.size() <= 64, Errc::kBadOption, "resample_filter: ", taps.size(),
            " taps, must be in [1, 64]");
  const double sum = std::accumulate(taps.begin(), taps.end(), 0.0);
  GAS_CHECK(std::isfinite(sum) && sum != 0, Errc::kBadOption, "resample_filter: the taps add up to ", sum,
            ", must be finite and not 0");
  const Tensor f = torch::tensor(taps, torch::kFloat32);
  return (f.outer(f) / f.sum().square()).unsqueeze(0).unsqueeze(0);
}

Tensor Upsample2x(const Tensor& x, const Tensor& filter, int64_t padding) {
  return torch::conv_transpose2d(x, PerChannel(filter, x.size(1), x, 4.0), {}, /*stride=*/2, padding,
                                 /*output_padding=*/0, /*groups=*/x.size(1));
}

Tensor Downsample2x(const Tensor& x, const Tensor& filter, int64_t padding) {
  return Convolution(x, PerChannel(filter, x.size(1), x, 1.0), {},
                     {.padding = padding, .stride = 2, .groups = x.size(1)});
}

Tensor UpsampleBox2x(const Tensor& x) { return torch::upsample_nearest2d(x, {x.size(2) * 2, x.size(3) * 2}); }

Tensor DownsampleBox2x(const Tensor& x) { return torch::avg_pool2d(x, 2); }

Tensor PositionalEmbedding(const Tensor& t, int64_t channels, bool endpoint, double max_positions) {
  const int64_t half = channels / 2;
  const Tensor exponent =
      torch::arange(half, torch::kFloat32) / static_cast<double>(half - (endpoint ? 1 : 0));
  const Tensor frequencies = ToLike(torch::pow(1.0 / max_positions, exponent), t);
  const Tensor angle = t.outer(frequencies);
  return torch::cat({angle.cos(), angle.sin()}, 1);
}

Tensor TimestepEmbedding(const Tensor& t, int64_t channels) {
  const int64_t half = channels / 2;
  const Tensor exponent =
      torch::arange(half, torch::kFloat32) * -std::log(10000.0) / static_cast<double>(half);
  // The exponential itself in float64: single precision differs between processors in the last bit.
  const Tensor frequencies = exponent.to(torch::kFloat64).exp().to(torch::kFloat32);
  const Tensor angle = t.unsqueeze(1) * ToLike(frequencies, t);
  return torch::cat({angle.cos(), angle.sin()}, 1);
}

Tensor FourierEmbedding(const Tensor& t, const Tensor& frequencies) {
  const Tensor angle = t.outer((2 * M_PI * frequencies).to(t.scalar_type()));
  return torch::cat({angle.cos(), angle.sin()}, 1);
}

}  // namespace gas::nn
