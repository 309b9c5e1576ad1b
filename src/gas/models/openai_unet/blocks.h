// The layers of OpenAI's U-Net that resample, mix and attend, with its names of parameters.
#ifndef GAS_MODELS_OPENAI_UNET_BLOCKS_H_
#define GAS_MODELS_OPENAI_UNET_BLOCKS_H_

#include "gas/core/torch.h"
#include "gas/nn/attention.h"
#include "gas/nn/layers.h"

namespace gas::openai_unet {

enum class Resampling { kNone, kUp, kDown };

struct ResBlockOptions {
  int64_t in = 0, out = 0, embedding = 0;
  Resampling resampling = Resampling::kNone;  // after the first norm and on the skip, without weights
  bool scale_shift = false;
};

// Residual block with two convolutions. Parameters in_layers.0 and .2, emb_layers.1, out_layers.0 and .3,
// skip_connection where the number of channels changes.
class ResBlock : public torch::nn::Module {
 public:
  explicit ResBlock(const ResBlockOptions& options);
  // x [B,in,H,W]; embedding [B,embedding], after its SiLU.
  Tensor forward(const Tensor& x, const Tensor& embedding);

 private:
  ResBlockOptions o_;
  nn::GroupNormLayer norm_in_, norm_out_;
  nn::Conv2dLayer conv_in_, conv_out_, skip_;
  nn::Linear embed_;
};

// A 1x1 convolution whose weight is that of a 1-d convolution, [out,in,1], or [out,in,1,1].
class Pointwise : public torch::nn::Module {
 public:
  Pointwise(int64_t in, int64_t out, int64_t weight_dims);
  Tensor forward(const Tensor& x);

 private:
  Tensor weight_, bias_;
};

struct AttentionOptions {
  int64_t channels = 0, heads = 1;
  nn::QkvOrder order = nn::QkvOrder::kHeadPartChannel;
  int64_t weight_dims = 3;
};

// Self-attention over normalised positions, added to them. Parameters norm, qkv, proj_out.
class AttentionBlock : public torch::nn::Module {
 public:
  explicit AttentionBlock(const AttentionOptions& options);
  Tensor forward(const Tensor& x);  // [B,channels,H,W]

 private:
  AttentionOptions o_;
  nn::GroupNormLayer norm_;
  std::shared_ptr<Pointwise> qkv_, proj_out_;
};

// Resampling by two with a convolution. Parameters op (down) or conv (up).
class ResamplingConv : public torch::nn::Module {
 public:
  ResamplingConv(int64_t channels, Resampling resampling);
  Tensor forward(const Tensor& x);

 private:
  Resampling resampling_;
  nn::Conv2dLayer conv_;
};

}  // namespace gas::openai_unet

#endif  // GAS_MODELS_OPENAI_UNET_BLOCKS_H_
