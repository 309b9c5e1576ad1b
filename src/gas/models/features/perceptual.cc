#include "gas/models/features/perceptual.h"

namespace gas {

Tensor PerceptualEmbedding(Classifier& network, const Tensor& images) {
  std::vector<Tensor> parts;
  for (const Tensor& map : network.forward(images.clamp(-1, 1)).maps) {
    const Tensor unit = map / (map.square().sum(1, true) + 1e-10).sqrt();
    parts.push_back(unit.flatten(1) / std::sqrt(static_cast<double>(map.size(2) * map.size(3))));
  }
  return torch::cat(parts, 1);
}

}  // namespace gas
