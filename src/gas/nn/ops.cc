#include "gas/nn/ops.h"

#include <algorithm>
#include <functional>
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

// What is formed at once of something large that is computed part by part.
constexpr int64_t kPartBytes = int64_t{64} << 20;

// Of `copies` tensors like x.
int64_t PartsOf(const Tensor& x, int64_t copies = 1) {
  return (copies * static_cast<int64_t>(x.nbytes()) + kPartBytes - 1) / kPartBytes;
}

bool Differentiated(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  const auto asks = [](const Tensor& t) { return t.defined() && t.requires_grad(); };
  return torch::GradMode::is_enabled() && (asks(x) || asks(weight) || asks(bias));
}

// Rows [begin, end) of an image [B,C,rows,W], zero where they lie outside of it. `inside` gives those that do
// not.
using RowsBetween = std::function<Tensor(int64_t begin, int64_t end)>;

Tensor PaddedRows(const RowsBetween& inside, int64_t rows, int64_t begin, int64_t end) {
  const int64_t first = std::max<int64_t>(begin, 0), last = std::min(end, rows);
  const Tensor there = inside(first, last);
  return first == begin && last == end ? there
                                       : torch::constant_pad_nd(there, {0, 0, first - begin, end - last});
}

// The convolution that keeps the size, weight [O,C/groups,k,k] with an odd k, by strips of rows. So neither
// the image nor what a library makes of it need be whole in memory.
Tensor ConvolvedByStrips(const RowsBetween& image, int64_t rows, int64_t strips, const Tensor& weight,
                         const Tensor& bias, int64_t groups) {
  const int64_t halo = weight.size(2) / 2;
  Tensor y;
  for (int64_t i = 0; i < strips; ++i) {
    const int64_t begin = i * rows / strips, end = (i + 1) * rows / strips;
    const Tensor strip = torch::conv2d(PaddedRows(image, rows, begin - halo, end + halo), weight, bias,
                                       /*stride=*/at::IntArrayRef{1, 1}, /*padding=*/at::IntArrayRef{0, halo},
                                       /*dilation=*/at::IntArrayRef{1, 1}, groups);
    if (!y.defined()) {
      y = torch::empty({strip.size(0), strip.size(1), rows, strip.size(3)}, strip.options(),
                       strip.suggest_memory_format());
    }
    y.slice(2, begin, end).copy_(strip);
  }
  return y;
}

// Of one image on the CPU, for whose convolutions oneDNN makes copies.
int64_t StripsOf(const Tensor& x, const Tensor& weight, int64_t padding, int64_t stride) {
  const int64_t kernel = weight.size(2);
  const bool keeps_size = stride == 1 && kernel == weight.size(3) && kernel % 2 == 1 && padding == kernel / 2;
  if (!x.is_cpu() || x.size(0) != 1 || !keeps_size) return 1;
  return std::min(PartsOf(x), x.size(2));
}

// Those of the direct algorithm, whichever is used.
void CountConvolution(const Tensor& y, const Tensor& weight) {
  CountFlops(2.0 * static_cast<double>(y.numel()) * static_cast<double>(weight[0].numel()));
}

}  // namespace

Tensor Conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, int64_t padding, int64_t stride,
              int64_t groups) {
  const int64_t strips = Differentiated(x, weight, bias) ? 1 : StripsOf(x, weight, padding, stride);
  Tensor y;
  if (strips > 1) {
    const auto rows = [&](int64_t begin, int64_t end) { return x.slice(2, begin, end); };
    y = ConvolvedByStrips(rows, x.size(2), strips, weight, bias, groups);
  } else {
    y = Convolution(x, weight, bias, {.padding = padding, .stride = stride, .groups = groups});
  }
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

Tensor ConvolvedUpsampling(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  const int64_t rows = 2 * x.size(2), strips = std::min(PartsOf(x, 4), rows);
  if (strips <= 1 || Differentiated(x, weight, bias)) {
    return Conv2d(UpsampleBox2x(x), weight, bias, /*padding=*/weight.size(2) / 2);
  }
  const auto doubled = [&](int64_t begin, int64_t end) {
    const int64_t from = begin / 2;
    return UpsampleBox2x(x.slice(2, from, (end + 1) / 2)).slice(2, begin - 2 * from, end - 2 * from);
  };
  const Tensor y = ConvolvedByStrips(doubled, rows, strips, weight, bias, /*groups=*/1);
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
  Tensor y = torch::group_norm(x, groups, weight, bias, eps);
  if (!silu) return y;
  return Differentiated(x, weight, bias) ? torch::silu(y) : torch::silu_(y);
}

Tensor GroupNormInPlace(const Tensor& x, int64_t groups, const Tensor& weight, const Tensor& bias, double eps,
                        bool silu) {
  const int64_t parts = std::min(PartsOf(x), groups);
  if (parts <= 1 || Differentiated(x, weight, bias)) return GroupNorm(x, groups, weight, bias, eps, silu);
  if (CanFuseGroupNorm(x, weight)) {
    FusedGroupNormInPlace(x, groups, weight, bias, eps, silu);
    return x;
  }
  const int64_t width = x.size(1) / groups;
  for (int64_t i = 0; i < parts; ++i) {
    const int64_t first = i * groups / parts, last = (i + 1) * groups / parts;
    const auto of_part = [&](const Tensor& t, int64_t dim) {
      return t.slice(dim, first * width, last * width);
    };
    const Tensor part = of_part(x, 1);
    part.copy_(GroupNorm(part, last - first, of_part(weight, 0), of_part(bias, 0), eps, silu));
  }
  return x;
}

Tensor LayerNorm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps) {
  const auto type =
      weight.defined() ? weight.scalar_type() : torch::promote_types(x.scalar_type(), torch::kFloat32);
  return torch::layer_norm(x.to(type), {x.size(-1)}, weight, bias, eps);
}

Tensor Gelu(const Tensor& x) { return torch::gelu(x); }

Tensor TanhGelu(const Tensor& x) { return torch::gelu(x, "tanh"); }

Tensor QuickGelu(const Tensor& x) { return x * torch::sigmoid(1.702 * x); }

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
