#include "gas/models/features/perceptual.h"

namespace gas {
namespace {

Tensor JoinUnitMaps(const std::vector<Tensor>& maps) {
  std::vector<Tensor> parts;
  for (const Tensor& map : maps) {
    const Tensor unit = map / (map.square().sum(1, true) + 1e-10).sqrt();
    parts.push_back(unit.flatten(1) / std::sqrt(static_cast<double>(map.size(2) * map.size(3))));
  }
  return torch::cat(parts, 1);
}

// Of maps from full resolution down, the last of each resolution: the deepest, which has seen the others.
std::vector<Tensor> LastOfEachResolution(const std::vector<Tensor>& maps) {
  std::vector<Tensor> last;
  for (size_t i = 0; i < maps.size(); ++i) {
    if (i + 1 == maps.size() || maps[i + 1].size(2) != maps[i].size(2)) last.push_back(maps[i]);
  }
  return last;
}

}  // namespace

Tensor PerceptualEmbedding(Classifier& network, const Tensor& images) {
  return JoinUnitMaps(network.forward(images.clamp(-1, 1)).maps);
}

Tensor SelfEmbedding(edm::Precond& network, const Tensor& images, double sigma) {
  const Tensor level = Scalar(std::max(sigma, network.config().sigma_min)).to(images.device());
  return JoinUnitMaps(LastOfEachResolution(network.EncoderFeatures(images, level, {})));
}

}  // namespace gas
