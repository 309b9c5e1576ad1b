// Networks that look at images, for distances between sets of images and between pairs.
#ifndef GAS_FEATURES_FEATURE_NETWORK_H_
#define GAS_FEATURES_FEATURE_NETWORK_H_

#include <memory>
#include <string>

#include "gas/core/torch.h"

namespace gas {

// What is known of a feature network. Figures found with different ones cannot be compared.
struct FeatureCard {
  std::string name, sha256;              // of the file
  int64_t channels = 0, resolution = 0;  // of the images that it looks at
  int64_t features = 0;                  // F
  int64_t classes = 0;                   // K, 0 for a network that names no classes
};

struct ImageFeatures {
  Tensor features;  // [B,F]
  Tensor logits;    // [B,K], undefined without classes
};

class FeatureNetwork {
 public:
  virtual ~FeatureNetwork() = default;

  const FeatureCard& card() const { return card_; }
  // Whether images [B,C,H,W] have the shape that it looks at.
  bool Fits(const Tensor& images) const;
  virtual void To(torch::Device device, torch::ScalarType dtype = torch::kFloat32) = 0;

  // images [B,C,R,R] in [-1,1], on the network's device and of its dtype.
  virtual ImageFeatures Look(const Tensor& images) const = 0;
  // [B,D] with |Embedding(a) - Embedding(b)|^2 a perceptual distance; differentiable in the images.
  virtual Tensor Embedding(const Tensor& images) const = 0;

 protected:
  FeatureCard card_;
};

using FeatureNetworkPtr = std::shared_ptr<const FeatureNetwork>;

// What a network says of images [N,C,R,R] in [-1,1], which are clipped and rounded to bytes first, as they
// would be on disk; `batch` at once, without gradients.
ImageFeatures FeaturesOfImages(const FeatureNetwork& network, const Tensor& images, int64_t batch = 256);

// The mean over pairs of the squared distance of embeddings, `batch` at once, without gradients.
double MeanPerceptualDistance(const FeatureNetwork& network, const Tensor& a, const Tensor& b,
                              int64_t batch = 128);

}  // namespace gas

#endif  // GAS_FEATURES_FEATURE_NETWORK_H_
