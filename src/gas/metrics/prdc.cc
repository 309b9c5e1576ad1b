#include "gas/metrics/prdc.h"

#include <limits>

namespace gas {

Prdc MeasurePrdc(const Neighbourhoods& real, const Neighbourhoods& fake, int64_t distances_at_once) {
  CheckComparable(real, fake);
  Tensor nearest_fake = torch::full_like(real.radii, std::numeric_limits<double>::infinity());
  Tensor recalled = torch::zeros_like(real.radii, torch::kBool);
  int64_t precise = 0, pairs = 0;
  const auto use = [&](const Tensor& distances, int64_t row) {
    const Tensor inside = distances < real.radii;
    precise += inside.any(1).sum().item<int64_t>();
    pairs += inside.sum().item<int64_t>();
    nearest_fake = torch::minimum(nearest_fake, std::get<0>(distances.min(0)));
    const Tensor radii = fake.radii.slice(0, row, row + distances.size(0)).unsqueeze(1);
    recalled.logical_or_((distances < radii).any(0));
  };
  ForEachDistanceBlock(fake.features, real.features, use, distances_at_once);
  const double reals = static_cast<double>(real.size()), fakes = static_cast<double>(fake.size());
  return {.precision = static_cast<double>(precise) / fakes,
          .recall = static_cast<double>(recalled.sum().item<int64_t>()) / reals,
          .density = static_cast<double>(pairs) / (static_cast<double>(real.k) * fakes),
          .coverage = static_cast<double>((nearest_fake < real.radii).sum().item<int64_t>()) / reals};
}

}  // namespace gas
