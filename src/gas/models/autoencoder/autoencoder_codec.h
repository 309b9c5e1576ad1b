// An autoencoder as the rest of the program sees codecs.
#ifndef GAS_MODELS_AUTOENCODER_AUTOENCODER_CODEC_H_
#define GAS_MODELS_AUTOENCODER_AUTOENCODER_CODEC_H_

#include <memory>

#include "gas/models/autoencoder/autoencoder.h"
#include "gas/models/autoencoder/tiles.h"
#include "gas/models/image_codec.h"

namespace gas::autoencoder {

struct CodecOptions {
  double scale = 1.0;  // states are latents times this
  // Of the decoder's convolutions and matrix products; the search for codes is in float32. float16 stands for
  // float32: values inside of SDXL's decoder are beyond its range.
  torch::Dtype dtype = torch::kFloat32;
  TileOptions tiles;
};

// Images are not clipped, as in the reference: where the decoder overshoots they leave [-1,1].
class AutoencoderCodec : public ImageCodec {
 public:
  // Freezes the network: evaluation mode, no parameter asks for a gradient.
  AutoencoderCodec(std::shared_ptr<Autoencoder> network, const CodecOptions& options);
  Tensor Decode(const Tensor& latents) const override;
  bool continuous() const override { return network_->config().kind != Kind::kVq; }
  // Throws Error(kBadOption) if the images' height or width is no multiple of the factor.
  Tensor Encode(const Tensor& images) const override;

 private:
  std::shared_ptr<Autoencoder> network_;
  CodecOptions options_;
};

}  // namespace gas::autoencoder

#endif  // GAS_MODELS_AUTOENCODER_AUTOENCODER_CODEC_H_
