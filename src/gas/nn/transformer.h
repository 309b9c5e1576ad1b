// The transformer inside latent diffusion's U-Nets (Rombach et al. 2022): parameters named as in CompVis'
// state dicts.
#ifndef GAS_NN_TRANSFORMER_H_
#define GAS_NN_TRANSFORMER_H_

#include <vector>

#include "gas/core/torch.h"
#include "gas/nn/layers.h"

namespace gas::nn {

struct LayerNormImpl : torch::nn::Module {
  explicit LayerNormImpl(int64_t channels, double eps = 1e-5);
  Tensor forward(const Tensor& x);  // [...,channels]
  Tensor weight, bias;

 private:
  double eps_;
};
using LayerNormLayer = std::shared_ptr<LayerNormImpl>;

// Queries from the tokens, keys and values from the context. Parameters to_q, to_k, to_v, to_out.0.
struct CrossAttentionImpl : torch::nn::Module {
  CrossAttentionImpl(int64_t channels, int64_t context_channels, int64_t heads);
  // [B,L,channels], [B,M,context_channels] -> [B,L,channels].
  Tensor forward(const Tensor& tokens, const Tensor& context);

 private:
  int64_t heads_;
  Linear to_q_, to_k_, to_v_, to_out_;
};
using CrossAttention = std::shared_ptr<CrossAttentionImpl>;

// Two linear layers around a gated GELU, four times as wide inside. Parameters net.0.proj, net.2.
struct FeedForwardImpl : torch::nn::Module {
  explicit FeedForwardImpl(int64_t channels);
  Tensor forward(const Tensor& tokens);  // [B,L,channels]

 private:
  Linear in_, out_;
};
using FeedForward = std::shared_ptr<FeedForwardImpl>;

struct TransformerOptions {
  int64_t channels = 0, heads = 1;
  int64_t context_channels = 0;  // 0: both attentions are over the tokens themselves
  int64_t depth = 1;             // blocks
};

// Self-attention, attention to the context, feed-forward, each on normalised tokens and added to them.
struct TransformerBlockImpl : torch::nn::Module {
  explicit TransformerBlockImpl(const TransformerOptions& options);
  // [B,L,channels]; context [B,M,context_channels], undefined without one.
  Tensor forward(const Tensor& tokens, const Tensor& context);

 private:
  LayerNormLayer norm1_, norm2_, norm3_;
  CrossAttention attn1_, attn2_;
  FeedForward ff_;
};
using TransformerBlock = std::shared_ptr<TransformerBlockImpl>;

// Images as tokens: group normalisation (32 groups, epsilon 1e-6), a 1x1 convolution, blocks over the
// positions, another convolution; added to the input.
struct SpatialTransformerImpl : torch::nn::Module {
  explicit SpatialTransformerImpl(const TransformerOptions& options);
  Tensor forward(const Tensor& x, const Tensor& context);  // [B,channels,H,W]; context as in the blocks

 private:
  GroupNormLayer norm_;
  Conv2dLayer proj_in_, proj_out_;
  std::vector<TransformerBlock> blocks_;
};
using SpatialTransformer = std::shared_ptr<SpatialTransformerImpl>;

}  // namespace gas::nn

#endif  // GAS_NN_TRANSFORMER_H_
