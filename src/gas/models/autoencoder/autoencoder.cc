#include "gas/models/autoencoder/autoencoder.h"

namespace gas::autoencoder {

Autoencoder::Autoencoder(const AutoencoderConfig& config) : config_(config) {
  Validate("autoencoder", config_);
  // Mean and variance, of which each has the latents' channels.
  const int64_t moments = config_.kind == Kind::kKl ? 2 : 1;
  encoder_ = register_module("encoder", std::make_shared<Encoder>(config_));
  decoder_ = register_module("decoder", std::make_shared<Decoder>(config_));
  if (config_.kind == Kind::kVq) {
    quantize_ =
        register_module("quantize", std::make_shared<Codebook>(config_.codes, config_.latent_channels));
  }
  quant_conv_ = register_module(
      "quant_conv", Pointwise(moments * config_.inner_channels, moments * config_.latent_channels));
  post_quant_conv_ =
      register_module("post_quant_conv", Pointwise(config_.latent_channels, config_.inner_channels));
}

Tensor Autoencoder::Encode(const Tensor& images) {
  return quant_conv_->forward(encoder_->forward(images)).slice(1, 0, config_.latent_channels);
}

Tensor Autoencoder::BeforeDecoder(const Tensor& latents, bool quantise) {
  return post_quant_conv_->forward(quantize_ && quantise ? quantize_->Quantise(latents) : latents);
}

Tensor Autoencoder::Decode(const Tensor& latents, bool quantise) {
  return decoder_->forward(BeforeDecoder(latents, quantise));
}

}  // namespace gas::autoencoder
