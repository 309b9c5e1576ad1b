// The first stages of latent diffusion (Rombach et al. 2022): images to latents and back.
#ifndef GAS_MODELS_AUTOENCODER_AUTOENCODER_H_
#define GAS_MODELS_AUTOENCODER_AUTOENCODER_H_

#include <memory>

#include "gas/models/autoencoder/codebook.h"
#include "gas/models/autoencoder/coder.h"

namespace gas::autoencoder {

// Parameters are named as in CompVis's state dicts, without "first_stage_model.".
struct Autoencoder : torch::nn::Module {
  // Throws Error(kBadFile) for impossible sizes.
  explicit Autoencoder(const AutoencoderConfig& config);

  const AutoencoderConfig& config() const { return config_; }

  // Images [B,in,H,W], H and W multiples of the factor -> latents [B,latent_channels,H / factor,W / factor].
  // Of kKl the mean of the distribution; of kVq what is quantised when it is decoded.
  Tensor Encode(const Tensor& images);
  // What of Decode looks at each position alone: latents -> the decoder's input. Without `quantise` the
  // codebook of kVq is left out.
  Tensor BeforeDecoder(const Tensor& latents, bool quantise = true);
  // Latents [B,latent_channels,h,w] -> images [B,out,h * factor,w * factor], not clipped.
  Tensor Decode(const Tensor& latents, bool quantise = true);
  Decoder& decoder() { return *decoder_; }

 private:
  AutoencoderConfig config_;
  std::shared_ptr<Encoder> encoder_;
  std::shared_ptr<Decoder> decoder_;
  std::shared_ptr<Codebook> quantize_;  // null for kKl
  nn::Conv2dLayer quant_conv_, post_quant_conv_;
};

}  // namespace gas::autoencoder

#endif  // GAS_MODELS_AUTOENCODER_AUTOENCODER_H_
