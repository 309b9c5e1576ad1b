#include "gas/models/openai_unet/blocks.h"

#include "gas/nn/ops.h"
#include "gas/nn/skeleton.h"

namespace gas::openai_unet {
namespace {

constexpr int64_t kGroups = 32;
constexpr double kEps = 1e-5;

std::shared_ptr<torch::nn::Module> AddChildren(torch::nn::Module& parent, const char* name) {
  return parent.register_module(name, std::make_shared<torch::nn::Module>());
}

nn::GroupNormLayer AddNorm(torch::nn::Module& parent, const char* name, int64_t channels) {
  return parent.register_module(name, std::make_shared<nn::GroupNormImpl>(channels, kGroups, kEps));
}

nn::Conv2dLayer AddConv(torch::nn::Module& parent, const char* name, nn::Conv2dOptions options) {
  options.init = nn::kTorchInit;
  return parent.register_module(name, std::make_shared<nn::Conv2dImpl>(options));
}

Tensor Resampled(const Tensor& x, Resampling resampling) {
  switch (resampling) {
    case Resampling::kUp: return nn::UpsampleBox2x(x);
    case Resampling::kDown: return nn::DownsampleBox2x(x);
    case Resampling::kNone: break;
  }
  return x;
}

}  // namespace

ResBlock::ResBlock(const ResBlockOptions& options) : o_(options) {
  const auto in = AddChildren(*this, "in_layers"), out = AddChildren(*this, "out_layers");
  norm_in_ = AddNorm(*in, "0", o_.in);
  conv_in_ = AddConv(*in, "2", {.in = o_.in, .out = o_.out});
  embed_ =
      AddChildren(*this, "emb_layers")
          ->register_module("1", std::make_shared<nn::LinearImpl>(
                                     o_.embedding, o_.out * (o_.scale_shift ? 2 : 1), true, nn::kTorchInit));
  norm_out_ = AddNorm(*out, "0", o_.out);
  conv_out_ = AddConv(*out, "3", {.in = o_.out, .out = o_.out});
  if (o_.in != o_.out) {
    skip_ = AddConv(*this, "skip_connection", {.in = o_.in, .out = o_.out, .kernel = 1});
  }
}

Tensor ResBlock::forward(const Tensor& x, const Tensor& embedding) {
  Tensor h = conv_in_->forward(Resampled(norm_in_->forward(x, /*silu=*/true), o_.resampling));
  const Tensor e = embed_->forward(embedding).unsqueeze(2).unsqueeze(3).to(h.scalar_type());
  if (o_.scale_shift) {
    const auto parts = e.chunk(2, 1);  // scale, shift
    h = torch::silu(torch::addcmul(parts[1], norm_out_->forward(h), parts[0] + 1));
  } else {
    // In place: this is a fresh output of a convolution, which nobody else reads.
    h = norm_out_->forward(h.add_(e), /*silu=*/true);
  }
  h = conv_out_->forward(h);
  const Tensor beside = Resampled(x, o_.resampling);
  return h.add_(skip_ ? skip_->forward(beside) : beside);
}

Pointwise::Pointwise(int64_t in, int64_t out, int64_t weight_dims) {
  std::vector<int64_t> shape(weight_dims, 1);
  shape[0] = out;
  shape[1] = in;
  const auto drawn = [&](at::IntArrayRef sizes) {
    return nn::Parameter(sizes,
                         [&] { return (torch::rand(sizes) * 2 - 1) / std::sqrt(static_cast<double>(in)); });
  };
  weight_ = register_parameter("weight", drawn(shape));
  bias_ = register_parameter("bias", drawn({out}));
}

Tensor Pointwise::forward(const Tensor& x) {
  return nn::Conv2d(x, weight_.reshape({weight_.size(0), weight_.size(1), 1, 1}), bias_, /*padding=*/0);
}

AttentionBlock::AttentionBlock(const AttentionOptions& options) : o_(options) {
  const int64_t c = o_.channels;
  norm_ = AddNorm(*this, "norm", c);
  qkv_ = register_module("qkv", std::make_shared<Pointwise>(c, 3 * c, o_.weight_dims));
  proj_out_ = register_module("proj_out", std::make_shared<Pointwise>(c, c, o_.weight_dims));
}

Tensor AttentionBlock::forward(const Tensor& x) {
  const Tensor qkv = qkv_->forward(norm_->forward(x));
  return proj_out_->forward(nn::SelfAttention(qkv, o_.heads, o_.order)).add_(x);
}

ResamplingConv::ResamplingConv(int64_t channels, Resampling resampling) : resampling_(resampling) {
  const bool down = resampling == Resampling::kDown;
  conv_ = AddConv(*this, down ? "op" : "conv", {.in = channels, .out = channels, .stride = down ? 2 : 1});
}

Tensor ResamplingConv::forward(const Tensor& x) {
  return conv_->forward(resampling_ == Resampling::kUp ? nn::UpsampleBox2x(x) : x);
}

}  // namespace gas::openai_unet
