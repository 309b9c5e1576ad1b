#include "gas/metrics/neighbours.h"

#include <algorithm>

#include "gas/core/error.h"
#include "gas/core/interrupt.h"

namespace gas {
namespace {

// Rows of b in float64 at once.
constexpr int64_t kColumnsAtOnce = 2048;
// Differences of components, about a second of a core's work: between two of these an interrupt is noticed.
constexpr int64_t kDifferencesAtOnce = int64_t{1} << 30;
// torch::cdist without matrix products, whose cancellation would make a distance depend on its block.
constexpr int64_t kByDifferences = 2;

}  // namespace

void ForEachDistanceBlock(const Tensor& a, const Tensor& b,
                          const std::function<void(const Tensor&, int64_t)>& use, int64_t distances_at_once) {
  torch::NoGradGuard no_grad;
  const int64_t columns = b.size(0),
                rows = std::max<int64_t>(1, distances_at_once / std::max<int64_t>(1, columns));
  const int64_t differences = std::max<int64_t>(1, std::min(rows, a.size(0)) * a.size(1));
  const int64_t step = std::clamp<int64_t>(kDifferencesAtOnce / differences, 1, kColumnsAtOnce);
  for (int64_t row = 0; row < a.size(0); row += rows) {
    const Tensor left = a.slice(0, row, row + rows).to(torch::kFloat64).contiguous();
    Tensor distances = torch::empty({left.size(0), columns}, left.options());
    for (int64_t column = 0; column < columns; column += step) {
      CheckInterrupt();
      const Tensor right = b.slice(0, column, column + step).to(torch::kFloat64).contiguous();
      distances.slice(1, column, column + right.size(0)).copy_(torch::cdist(left, right, 2, kByDifferences));
    }
    use(distances, row);
  }
}

Neighbourhoods FindNeighbourhoods(const Tensor& features, int64_t k, int64_t distances_at_once) {
  GAS_CHECK(features.dim() == 2, Errc::kBadOption, "features of shape ", features.sizes(),
            ", must be [N, F]");
  GAS_CHECK(k >= 1 && k < features.size(0), Errc::kBadOption, "nearest neighbour k = ", k,
            ", must be in [1, ", features.size(0) - 1, "] among ", features.size(0), " features");
  GAS_CHECK(features.isfinite().all().item<bool>(), Errc::kNumeric, "features [", features.size(0), ", ",
            features.size(1), "]: not all are finite");
  Neighbourhoods found{features.detach(),
                       torch::empty({features.size(0)}, features.options().dtype(torch::kFloat64)), k};
  const auto use = [&](const Tensor& distances, int64_t row) {
    // Each is its own nearest, at distance 0, so that the k-th other is the k+1-st of all.
    found.radii.slice(0, row, row + distances.size(0)).copy_(std::get<0>(distances.kthvalue(k + 1, 1)));
  };
  ForEachDistanceBlock(found.features, found.features, use, distances_at_once);
  return found;
}

void CheckComparable(const Neighbourhoods& real, const Neighbourhoods& fake) {
  GAS_CHECK(real.k == fake.k, Errc::kBadOption, "neighbourhoods of k = ", real.k, " and ", fake.k,
            ", must be equal");
  GAS_CHECK(real.features.size(1) == fake.features.size(1), Errc::kBadOption, "features of ",
            real.features.size(1), " and ", fake.features.size(1), " components, must be equal");
}

}  // namespace gas
