#include "gas/nn/layers.h"

#include <algorithm>

#include "gas/core/error.h"
#include "gas/nn/attention.h"
#include "gas/nn/convolution_uses.h"
#include "gas/nn/ops.h"
#include "gas/nn/skeleton.h"

namespace gas::nn {
namespace {

// Numbers of the distribution, times `scale`.
Tensor Draw(at::IntArrayRef shape, const Init& init, double scale, int64_t fan_in, int64_t fan_out) {
  switch (init.mode) {
    case Init::Mode::kXavierUniform:
      return (torch::rand(shape) * 2 - 1) * std::sqrt(6.0 / static_cast<double>(fan_in + fan_out)) * scale;
    case Init::Mode::kKaimingUniform:
      return (torch::rand(shape) * 2 - 1) * std::sqrt(3.0 / static_cast<double>(fan_in)) * scale;
    case Init::Mode::kKaimingNormal:
      return torch::randn(shape) * std::sqrt(1.0 / static_cast<double>(fan_in)) * scale;
  }
  GAS_ASSERT(false);
}

bool IsBox(const std::vector<double>& taps) { return taps.size() == 2 && taps[0] == taps[1]; }

}  // namespace

LinearImpl::LinearImpl(int64_t in, int64_t out, bool with_bias, const Init& init) {
  const auto drawn = [&](at::IntArrayRef shape, double scale) {
    return Parameter(shape, [&] { return Draw(shape, init, scale, in, out); });
  };
  weight = register_parameter("weight", drawn({out, in}, init.weight));
  if (with_bias) bias = register_parameter("bias", drawn({out}, init.bias));
}

Tensor LinearImpl::forward(const Tensor& x) { return FullyConnected(x, weight, bias); }

Conv2dImpl::Conv2dImpl(const Conv2dOptions& options) : o_(options) {
  GAS_ASSERT(!(o_.up && o_.down) && (o_.stride == 1 || !(o_.up || o_.down)));
  if (o_.kernel > 0) {
    const int64_t area = o_.kernel * o_.kernel, fan_in = o_.in * area, fan_out = o_.out * area;
    const auto drawn = [&](at::IntArrayRef shape, double scale) {
      return Parameter(shape, [&] { return Draw(shape, o_.init, scale, fan_in, fan_out); });
    };
    weight = register_parameter("weight", drawn({o_.out, o_.in, o_.kernel, o_.kernel}, o_.init.weight));
    bias = register_parameter("bias", drawn({o_.out}, o_.init.bias));
  }
  if (o_.up || o_.down)
    resample_filter = register_buffer("resample_filter", ResampleFilter(o_.resample_filter));
}

Tensor Conv2dImpl::Upsampled(const Tensor& x, int64_t padding) const {
  return IsBox(o_.resample_filter) ? UpsampleBox2x(x) : Upsample2x(x, resample_filter, padding);
}

Tensor Conv2dImpl::Downsampled(const Tensor& x, int64_t padding) const {
  return IsBox(o_.resample_filter) ? DownsampleBox2x(x) : Downsample2x(x, resample_filter, padding);
}

bool Conv2dImpl::IsPlain() const {
  const bool filtered = o_.fused_resample && (o_.up || o_.down);  // the filter changes the padding
  return o_.kernel > 0 && !filtered;
}

bool Conv2dImpl::CanFreeze() const { return IsPlain() && o_.kernel == 3 && o_.stride == 1; }

Tensor Conv2dImpl::Convolved(const Tensor& x, int64_t padding) {
  const Tensor y = frozen_ ? Conv2d(x, weight, bias, frozen_) : Conv2d(x, weight, bias, padding, o_.stride);
  NoteConvolution(*this, y.size(2), y.size(3));
  return y;
}

Tensor Conv2dImpl::Fused(const Tensor& x) {
  const int64_t weight_pad = o_.kernel / 2, filter_pad = (resample_filter.size(2) - 1) / 2;
  if (o_.up) {
    const Tensor wide = Upsampled(x, std::max<int64_t>(filter_pad - weight_pad, 0));
    return Convolved(wide, std::max<int64_t>(weight_pad - filter_pad, 0));
  }
  // The bias passes the filter unchanged, because the filter sums to one and nothing is padded there.
  return Downsampled(Convolved(x, weight_pad + filter_pad), 0);
}

Tensor Conv2dImpl::forward(const Tensor& x) {
  if (!o_.up && !o_.down) return Convolved(x, o_.kernel / 2);
  if (o_.fused_resample && weight.defined()) return Fused(x);
  const int64_t padding = (resample_filter.size(2) - 1) / 2;
  const Tensor resampled = o_.up ? Upsampled(x, padding) : Downsampled(x, padding);
  return weight.defined() ? Convolved(resampled, o_.kernel / 2) : resampled;
}

GroupNormImpl::GroupNormImpl(int64_t channels, double eps)
    : GroupNormImpl(channels, std::clamp<int64_t>(channels / 4, 1, 32), eps) {}

GroupNormImpl::GroupNormImpl(int64_t channels, int64_t groups, double eps) : groups_(groups), eps_(eps) {
  weight = register_parameter("weight", Parameter({channels}, [&] { return torch::ones({channels}); }));
  bias = register_parameter("bias", Parameter({channels}, [&] { return torch::zeros({channels}); }));
}

Tensor GroupNormImpl::forward(const Tensor& x, bool silu) {
  return GroupNorm(x, groups_, weight, bias, eps_, silu);
}

Tensor GroupNormImpl::InPlace(const Tensor& x, bool silu) {
  return GroupNormInPlace(x, groups_, weight, bias, eps_, silu);
}

UNetBlockImpl::UNetBlockImpl(const UNetBlockOptions& options) : o_(options) {
  const auto conv = [&](const char* name, int64_t in, int64_t out, int64_t kernel, bool resample,
                        const Init& init) {
    return register_module(name,
                           std::make_shared<Conv2dImpl>(Conv2dOptions{.in = in,
                                                                      .out = out,
                                                                      .kernel = kernel,
                                                                      .up = resample && o_.up,
                                                                      .down = resample && o_.down,
                                                                      .resample_filter = o_.resample_filter,
                                                                      .init = init}));
  };
  norm0_ = register_module("norm0", std::make_shared<GroupNormImpl>(o_.in, o_.eps));
  conv0_ = conv("conv0", o_.in, o_.out, 3, true, o_.init);
  affine_ = register_module("affine", std::make_shared<LinearImpl>(
                                          o_.embedding, o_.out * (o_.adaptive_scale ? 2 : 1), true, o_.init));
  norm1_ = register_module("norm1", std::make_shared<GroupNormImpl>(o_.out, o_.eps));
  conv1_ = conv("conv1", o_.out, o_.out, 3, false, o_.init_zero);
  if (o_.out != o_.in || o_.up || o_.down) {
    skip_ = conv("skip", o_.in, o_.out, o_.resample_proj || o_.out != o_.in ? 1 : 0, true, o_.init);
  }
  if (o_.heads > 0) {
    norm2_ = register_module("norm2", std::make_shared<GroupNormImpl>(o_.out, o_.eps));
    qkv_ = conv("qkv", o_.out, o_.out * 3, 1, false, o_.init_attention);
    proj_ = conv("proj", o_.out, o_.out, 1, false, o_.init_zero);
  }
}

Tensor UNetBlockImpl::forward(const Tensor& x, const Tensor& embedding) {
  Tensor h = conv0_->forward(norm0_->forward(x, /*silu=*/true));
  const Tensor e = affine_->forward(embedding).unsqueeze(2).unsqueeze(3).to(h.scalar_type());
  if (o_.adaptive_scale) {
    const auto parts = e.chunk(2, 1);  // scale, shift
    h = torch::silu(torch::addcmul(parts[1], norm1_->forward(h), parts[0] + 1));
  } else {
    h = norm1_->forward(h.add_(e), /*silu=*/true);
  }
  h = conv1_->forward(torch::dropout(h, o_.dropout, is_training()));
  // In place: these are fresh outputs of convolutions, which nobody else reads.
  h.add_(skip_ ? skip_->forward(x) : x);
  if (o_.skip_scale != 1) h.mul_(o_.skip_scale);
  if (o_.heads == 0) return h;
  h = proj_->forward(SelfAttention(qkv_->forward(norm2_->forward(h)), o_.heads, QkvOrder::kHeadChannelPart))
          .add_(h);
  return o_.skip_scale != 1 ? h.mul_(o_.skip_scale) : h;
}

}  // namespace gas::nn
