#include "gas/features/feature_network.h"

#include <algorithm>
#include <vector>

#include "gas/core/interrupt.h"
#include "gas/io/image_set.h"
#include "gas/io/png.h"

namespace gas {

bool FeatureNetwork::Fits(const Tensor& images) const {
  return images.dim() == 4 && images.size(1) == card_.channels && images.size(2) == card_.resolution &&
         images.size(3) == card_.resolution;
}

ImageFeatures FeaturesOfImages(const FeatureNetwork& network, const Tensor& images, int64_t batch) {
  torch::NoGradGuard no_grad;
  std::vector<Tensor> features, logits;
  for (int64_t begin = 0; begin < images.size(0); begin += batch) {
    CheckInterrupt();
    const Tensor part = images.slice(0, begin, std::min(images.size(0), begin + batch));
    const ImageFeatures seen = network.Look(ToSigned(ToBytes(part)));
    features.push_back(seen.features);
    if (seen.logits.defined()) logits.push_back(seen.logits);
  }
  return {torch::cat(features), logits.empty() ? Tensor() : torch::cat(logits)};
}

double MeanPerceptualDistance(const FeatureNetwork& network, const Tensor& a, const Tensor& b,
                              int64_t batch) {
  torch::NoGradGuard no_grad;
  double sum = 0;
  for (int64_t begin = 0; begin < a.size(0); begin += batch) {
    CheckInterrupt();
    const int64_t end = std::min(a.size(0), begin + batch);
    const Tensor difference =
        network.Embedding(a.slice(0, begin, end)) - network.Embedding(b.slice(0, begin, end));
    sum += difference.square().sum().item<double>();
  }
  return sum / static_cast<double>(a.size(0));
}

}  // namespace gas
