// A discriminator where no pretrained one is at hand: the frozen denoiser's own encoder with small trained
// heads.
#ifndef GAS_MODELS_FEATURE_DISCRIMINATOR_H_
#define GAS_MODELS_FEATURE_DISCRIMINATOR_H_

#include <memory>
#include <vector>

#include "gas/models/discriminator.h"
#include "gas/models/encoder_features.h"
#include "gas/nn/layers.h"

namespace gas {

struct FeatureDiscriminatorConfig {
  // Noise levels that the encoder is told, each positive. No noise is added to the images, whatever the
  // level: the encoder sees them as they are, at a level at which fine details count, and the score is a
  // function of the image.
  std::vector<double> sigmas = {0.1};
  std::vector<int64_t> maps = {};  // indices into EncoderFeatures::Maps; empty: the last at each resolution
  int64_t width = 64;              // hidden channels of a head
};

// The sum over noise levels and maps of mean over positions of head(map / scale), where a head is 1x1
// convolution, leaky ReLU (slope 0.2), 1x1 convolution to one channel, and scale is the root mean square of
// the map for noise images (a fixed function of the network), so that heads of all depths begin on an equal
// footing. Labels are the network's own condition; an unconditional network ignores them. Parameters and
// buffers are those of the heads alone: the network is not part of the module's state dict and stays on the
// device and in the dtype that it has.
class FeatureDiscriminator : public Discriminator {
 public:
  // Throws Error(kBadOption) for a level or map that cannot be.
  FeatureDiscriminator(std::shared_ptr<const EncoderFeatures> encoder,
                       const FeatureDiscriminatorConfig& config);

  // images [B,C,R,R] of the network's shape and dtype, in [-1,1] or whatever it denoises.
  Tensor forward(const Tensor& images, const Tensor& labels) override;

  // With `maps` filled in.
  const FeatureDiscriminatorConfig& config() const { return config_; }

 private:
  struct Head {
    nn::Conv2dLayer hidden, score;
    Tensor scale;  // []
  };
  void ChooseMaps(const std::vector<Tensor>& features);

  std::shared_ptr<const EncoderFeatures> encoder_;
  FeatureDiscriminatorConfig config_;
  std::vector<Head> heads_;  // one per noise level and map, levels outermost
};

}  // namespace gas

#endif  // GAS_MODELS_FEATURE_DISCRIMINATOR_H_
