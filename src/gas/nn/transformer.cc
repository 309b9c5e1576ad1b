#include "gas/nn/transformer.h"

#include "gas/nn/attention.h"
#include "gas/nn/geglu.h"
#include "gas/nn/ops.h"
#include "gas/nn/skeleton.h"

namespace gas::nn {
namespace {

using Children = std::shared_ptr<torch::nn::Module>;

Children AddChildren(torch::nn::Module& parent, const char* name) {
  return parent.register_module(name, std::make_shared<torch::nn::Module>());
}

Linear AddLinear(torch::nn::Module& parent, const char* name, int64_t in, int64_t out, bool bias) {
  return parent.register_module(name, std::make_shared<LinearImpl>(in, out, bias, kTorchInit));
}

Conv2dLayer Pointwise(int64_t channels) {
  return std::make_shared<Conv2dImpl>(
      Conv2dOptions{.in = channels, .out = channels, .kernel = 1, .init = kTorchInit});
}

}  // namespace

LayerNormImpl::LayerNormImpl(int64_t channels, double eps) : eps_(eps) {
  weight = register_parameter("weight", Parameter({channels}, [&] { return torch::ones({channels}); }));
  bias = register_parameter("bias", Parameter({channels}, [&] { return torch::zeros({channels}); }));
}

Tensor LayerNormImpl::forward(const Tensor& x) { return LayerNorm(x, weight, bias, eps_); }

CrossAttentionImpl::CrossAttentionImpl(int64_t channels, int64_t context_channels, int64_t heads)
    : heads_(heads) {
  to_q_ = AddLinear(*this, "to_q", channels, channels, false);
  to_k_ = AddLinear(*this, "to_k", context_channels, channels, false);
  to_v_ = AddLinear(*this, "to_v", context_channels, channels, false);
  to_out_ = AddLinear(*AddChildren(*this, "to_out"), "0", channels, channels, true);
}

Tensor CrossAttentionImpl::forward(const Tensor& tokens, const Tensor& context) {
  const Tensor values =
      MultiHeadAttention(to_q_->forward(tokens), to_k_->forward(context), to_v_->forward(context), heads_);
  return to_out_->forward(values);
}

FeedForwardImpl::FeedForwardImpl(int64_t channels) {
  const Children net = AddChildren(*this, "net");
  const int64_t inner = 4 * channels;
  in_ = AddLinear(*AddChildren(*net, "0"), "proj", channels, 2 * inner, true);
  out_ = AddLinear(*net, "2", inner, channels, true);
}

Tensor FeedForwardImpl::forward(const Tensor& tokens) {
  return out_->forward(Geglu(FullyConnected(tokens, in_->weight, {}), in_->bias));
}

TransformerBlockImpl::TransformerBlockImpl(const TransformerOptions& o) {
  const int64_t context = o.context_channels > 0 ? o.context_channels : o.channels;
  norm1_ = register_module("norm1", std::make_shared<LayerNormImpl>(o.channels));
  norm2_ = register_module("norm2", std::make_shared<LayerNormImpl>(o.channels));
  norm3_ = register_module("norm3", std::make_shared<LayerNormImpl>(o.channels));
  attn1_ = register_module("attn1", std::make_shared<CrossAttentionImpl>(o.channels, o.channels, o.heads));
  attn2_ = register_module("attn2", std::make_shared<CrossAttentionImpl>(o.channels, context, o.heads));
  ff_ = register_module("ff", std::make_shared<FeedForwardImpl>(o.channels));
}

Tensor TransformerBlockImpl::forward(const Tensor& tokens, const Tensor& context) {
  const Tensor own = norm1_->forward(tokens);
  Tensor x = tokens + attn1_->forward(own, own);
  const Tensor queries = norm2_->forward(x);
  x = x + attn2_->forward(queries, context.defined() ? context : queries);
  return x + ff_->forward(norm3_->forward(x));
}

SpatialTransformerImpl::SpatialTransformerImpl(const TransformerOptions& o) {
  norm_ = register_module("norm", std::make_shared<GroupNormImpl>(o.channels, /*groups=*/32, /*eps=*/1e-6));
  proj_in_ = register_module("proj_in", Pointwise(o.channels));
  const Children blocks = AddChildren(*this, "transformer_blocks");
  for (int64_t i = 0; i < o.depth; ++i) {
    blocks_.push_back(blocks->register_module(std::to_string(i), std::make_shared<TransformerBlockImpl>(o)));
  }
  proj_out_ = register_module("proj_out", Pointwise(o.channels));
}

Tensor SpatialTransformerImpl::forward(const Tensor& x, const Tensor& context) {
  const Tensor in = proj_in_->forward(norm_->forward(x)).permute({0, 2, 3, 1});  // [B,H,W,C]
  Tensor tokens = in.flatten(1, 2);
  for (const TransformerBlock& block : blocks_) tokens = block->forward(tokens, context);
  return proj_out_->forward(tokens.reshape(in.sizes()).permute({0, 3, 1, 2})) + x;
}

}  // namespace gas::nn
