#include "gas/models/autoencoder/autoencoder_codec.h"

#include "gas/core/error.h"
#include "gas/models/batch_parallel.h"

namespace gas::autoencoder {
namespace {

Tensor ChannelsLast(const Tensor& x) { return x.contiguous(torch::MemoryFormat::ChannelsLast); }

}  // namespace

AutoencoderCodec::AutoencoderCodec(std::shared_ptr<Autoencoder> network, const CodecOptions& options)
    : network_(std::move(network)), options_(options) {
  if (options_.dtype == torch::kFloat16) options_.dtype = torch::kFloat32;
  network_->eval();
  for (Tensor& parameter : network_->parameters()) parameter.requires_grad_(false);
}

Tensor AutoencoderCodec::Decode(const Tensor& latents) const {
  const auto type = network_->parameters().front().scalar_type();
  const Tensor scaled = ChannelsLast(latents.to(type) / options_.scale);
  const Tensor none = torch::zeros({0}, scaled.options());
  return ParallelOverBatch(scaled, none, [&](const Tensor& part, const Tensor&, int64_t, int64_t) {
    const Tensor map = network_->BeforeDecoder(part);
    return ByTiles(map, network_->config().factor(), options_.tiles, [&](const Tensor& tile) {
      const AutocastGuard autocast(tile.device().type(), options_.dtype);
      return network_->decoder().forward(ChannelsLast(tile)).to(type);
    });
  });
}

Tensor AutoencoderCodec::Encode(const Tensor& images) const {
  const AutoencoderConfig& config = network_->config();
  const bool fits = images.dim() == 4 && images.size(1) == config.in_channels &&
                    images.size(2) % config.factor() == 0 && images.size(3) % config.factor() == 0;
  GAS_CHECK(fits, Errc::kBadOption, "images of shape ", images.sizes(), ", must be [B,", config.in_channels,
            ",H,W] with H and W multiples of ", config.factor());
  const Tensor input = ChannelsLast(images.to(network_->parameters().front().scalar_type()));
  const Tensor none = torch::zeros({0}, input.options());
  return options_.scale *
         ParallelOverBatch(input, none, [&](const Tensor& part, const Tensor&, int64_t, int64_t) {
           return network_->Encode(part);
         });
}

}  // namespace gas::autoencoder
