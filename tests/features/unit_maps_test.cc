#include "gas/features/unit_maps.h"

#include "support/expect.h"

namespace gas {
namespace {

// The squared length of a difference is the sum over maps of the mean over positions of the squared
// difference of the channels' directions.
TEST(UnitMaps, DifferencesAreMeansOverPositions) {
  torch::manual_seed(1);
  const std::vector<std::vector<int64_t>> shapes = {{2, 3, 4, 6}, {2, 5, 2, 3}};
  std::vector<Tensor> a, b;
  Tensor expected = torch::zeros({2}, torch::kFloat64);
  for (const std::vector<int64_t>& shape : shapes) {
    a.push_back(torch::randn(shape, torch::kFloat64));
    b.push_back(torch::randn(shape, torch::kFloat64));
    const auto direction = [](const Tensor& map) { return map / map.norm(2, {1}, /*keepdim=*/true); };
    expected += (direction(a.back()) - direction(b.back())).square().sum(1).mean({1, 2});
  }
  const Tensor distance = (JoinUnitMaps(a) - JoinUnitMaps(b)).square().sum(1);
  EXPECT_TRUE(testing::Close(distance, expected, 1e-8, 0));
}

TEST(UnitMaps, TheLastOfEachResolutionIsChosen) {
  const auto map = [](int64_t side) { return torch::zeros({1, 1, side, side}); };
  EXPECT_EQ(LastOfEachResolution({map(8), map(8), map(4), map(2), map(2)}), (std::vector<int64_t>{1, 2, 4}));
}

}  // namespace
}  // namespace gas
