#include "gas/metrics/precision_recall.h"

namespace gas {

PrecisionRecall MeasurePrecisionRecall(const Neighbourhoods& real, const Neighbourhoods& fake,
                                       int64_t distances_at_once) {
  CheckComparable(real, fake);
  Tensor recalled = torch::zeros_like(real.radii, torch::kBool);
  int64_t precise = 0;
  const auto use = [&](const Tensor& distances, int64_t row) {
    precise += (distances <= real.radii).any(1).sum().item<int64_t>();
    const Tensor radii = fake.radii.slice(0, row, row + distances.size(0)).unsqueeze(1);
    recalled.logical_or_((distances <= radii).any(0));
  };
  ForEachDistanceBlock(fake.features, real.features, use, distances_at_once);
  return {.precision = static_cast<double>(precise) / static_cast<double>(fake.size()),
          .recall = static_cast<double>(recalled.sum().item<int64_t>()) / static_cast<double>(real.size())};
}

}  // namespace gas
