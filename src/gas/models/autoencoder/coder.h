// The convolutional halves of an autoencoder, with parameters named as in CompVis's state dicts
// (ldm/modules/diffusionmodules/model.py of CompVis/latent-diffusion).
#ifndef GAS_MODELS_AUTOENCODER_CODER_H_
#define GAS_MODELS_AUTOENCODER_CODER_H_

#include <vector>

#include "gas/models/autoencoder/autoencoder_config.h"
#include "gas/nn/layers.h"

namespace gas::autoencoder {

// Two convolutions beside a shortcut.
struct ResnetBlock : torch::nn::Module {
  ResnetBlock(int64_t in, int64_t out);
  // [B,in,H,W] -> [B,out,H,W]. Where nothing is differentiated, x may be overwritten.
  Tensor forward(Tensor x);

 private:
  nn::GroupNormLayer norm1_, norm2_;
  nn::Conv2dLayer conv1_, conv2_, shortcut_;
};

// Self-attention of one head over the positions, beside a shortcut. Its weights are 1x1 convolutions.
struct AttnBlock : torch::nn::Module {
  explicit AttnBlock(int64_t channels);
  Tensor forward(const Tensor& x);  // [B,C,H,W] -> [B,C,H,W]

 private:
  nn::GroupNormLayer norm_;
  nn::Conv2dLayer q_, k_, v_, proj_out_;
};

// One resolution: blocks, each with attention behind it or with none.
struct Level {
  std::vector<std::shared_ptr<ResnetBlock>> blocks;
  std::vector<std::shared_ptr<AttnBlock>> attention;  // empty, or one for each block
  nn::Conv2dLayer resample;                           // null at the last level

  Tensor Apply(Tensor h) const;  // all but the resampling
};

// The blocks at the lowest resolution, of both halves.
struct Middle : torch::nn::Module {
  explicit Middle(int64_t channels);
  Tensor forward(const Tensor& x);

 private:
  std::shared_ptr<ResnetBlock> block_1_, block_2_;
  std::shared_ptr<AttnBlock> attn_1_;
};

struct Encoder : torch::nn::Module {
  explicit Encoder(const AutoencoderConfig& config);
  // Images [B,in,H,W], H and W multiples of the factor -> [B,C,H / factor,W / factor], where C is z_channels,
  // or twice that for kKl: means, then logarithms of variances.
  Tensor forward(const Tensor& images);

 private:
  nn::Conv2dLayer conv_in_, conv_out_;
  nn::GroupNormLayer norm_out_;
  std::vector<Level> levels_;
  std::shared_ptr<Middle> mid_;
};

struct Decoder : torch::nn::Module {
  explicit Decoder(const AutoencoderConfig& config);
  // [B,z_channels,h,w] -> images [B,out,h * factor,w * factor], not clipped.
  Tensor forward(const Tensor& z);

 private:
  nn::Conv2dLayer conv_in_, conv_out_;
  nn::GroupNormLayer norm_out_;
  std::vector<Level> levels_;  // from full resolution down; they are passed from the last to the first
  std::shared_ptr<Middle> mid_;
};

// A 1x1 convolution with bias.
nn::Conv2dLayer Pointwise(int64_t in, int64_t out);

}  // namespace gas::autoencoder

#endif  // GAS_MODELS_AUTOENCODER_CODER_H_
