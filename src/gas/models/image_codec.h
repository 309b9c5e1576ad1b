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
  // Whether small changes of latents show in their images. False where each vector is first replaced by the
  // nearest of a codebook: Decode's gradient then passes that over, and differences do not see it.
  virtual bool continuous() const { return true; }
  // The other way: images [B,3,H,W] in [-1,1] -> latents.
  virtual Tensor Encode(const Tensor& images) const = 0;
};

}  // namespace gas

#endif  // GAS_MODELS_IMAGE_CODEC_H_
