// Between a model's states and images, where they differ.
#ifndef GAS_MODELS_IMAGE_CODEC_H_
#define GAS_MODELS_IMAGE_CODEC_H_

#include "gas/core/torch.h"

namespace gas {

class ImageCodec {
 public:
  virtual ~ImageCodec() = default;
  // latents [B,...] -> images [B,3,H,W] in [-1,1].
  virtual Tensor Decode(const Tensor& latents) const = 0;
  // The other way: images [B,3,H,W] in [-1,1] -> latents.
  virtual Tensor Encode(const Tensor& images) const = 0;
};

}  // namespace gas

#endif  // GAS_MODELS_IMAGE_CODEC_H_
