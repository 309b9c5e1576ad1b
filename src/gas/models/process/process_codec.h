// Images of states, and states of images, by the process that serves the network.
#ifndef GAS_MODELS_PROCESS_PROCESS_CODEC_H_
#define GAS_MODELS_PROCESS_PROCESS_CODEC_H_

#include <memory>
#include <vector>

#include "gas/models/image_codec.h"
#include "gas/models/process/process_pool.h"

namespace gas {

class ProcessCodec : public ImageCodec {
 public:
  // Shapes of a state and of an image [3,H,W].
  ProcessCodec(std::shared_ptr<const ProcessPool> pool, std::vector<int64_t> state,
               std::vector<int64_t> image)
      : pool_(std::move(pool)), state_(std::move(state)), image_(std::move(image)) {}

  // Both throw as Denoiser::Predict of a process. Images carry a gradient, of the first order, if the process
  // gives one; otherwise Error(kBadOption) if one is asked for, even where none is recorded: a loss on images
  // must fail at its first step.
  Tensor Decode(const Tensor& latents) const override;
  // Throws Error(kBadOption) for a process that does not encode, and if a gradient is asked for.
  Tensor Encode(const Tensor& images) const override;

 private:
  std::shared_ptr<const ProcessPool> pool_;
  std::vector<int64_t> state_, image_;
};

}  // namespace gas

#endif  // GAS_MODELS_PROCESS_PROCESS_CODEC_H_
