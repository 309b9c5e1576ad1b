#include "gas/features/unit_maps.h"

#include <cmath>

namespace gas {

Tensor JoinUnitMaps(const std::vector<Tensor>& maps) {
  std::vector<Tensor> parts;
  for (const Tensor& map : maps) {
    const Tensor unit = map / (map.square().sum(1, true) + 1e-10).sqrt();
    parts.push_back(unit.flatten(1) / std::sqrt(static_cast<double>(map.size(2) * map.size(3))));
  }
  return torch::cat(parts, 1);
}

std::vector<int64_t> LastOfEachResolution(const std::vector<Tensor>& maps) {
  std::vector<int64_t> last;
  for (size_t i = 0; i < maps.size(); ++i) {
    if (i + 1 == maps.size() || maps[i + 1].size(2) != maps[i].size(2))
      last.push_back(static_cast<int64_t>(i));
  }
  return last;
}

}  // namespace gas
