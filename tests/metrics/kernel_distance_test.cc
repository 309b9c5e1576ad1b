#include "gas/metrics/kernel_distance.h"

#include "support/expect.h"

namespace gas {
namespace {

Tensor Samples(int64_t seed, int64_t count, double shift = 0) {
  torch::manual_seed(static_cast<uint64_t>(seed));
  return torch::randn({count, 6}) + shift;
}

// Its definition, pair by pair.
double ByPairs(const Tensor& x, const Tensor& y) {
  const auto kernel = [](const Tensor& a, const Tensor& b) {
    return std::pow(
        a.to(torch::kFloat64).dot(b.to(torch::kFloat64)).item<double>() / static_cast<double>(a.size(0)) + 1,
        3);
  };
  const auto mean = [&](const Tensor& a, const Tensor& b, bool skip) {
    double sum = 0, pairs = 0;
    for (int64_t i = 0; i < a.size(0); ++i) {
      for (int64_t j = 0; j < b.size(0); ++j) {
        if (skip && i == j) continue;
        sum += kernel(a[i], b[j]);
        ++pairs;
      }
    }
    return sum / pairs;
  };
  return mean(x, x, true) + mean(y, y, true) - 2 * mean(x, y, false);
}

TEST(KernelDistance, IsItsDefinitionForSetsOfDifferentSizes) {
  const Tensor x = Samples(1, 17), y = Samples(2, 11, 0.5);
  EXPECT_NEAR(KernelDistance(x, y), ByPairs(x, y), 1e-12);  // float64 sums in another order
}

TEST(KernelDistance, DoesNotDependOnBlocksOrOrder) {
  const Tensor x = Samples(3, 50), y = Samples(4, 35, 0.3);
  const double whole = KernelDistance(x, y);
  for (const int64_t at_once : {1, 49, 400})
    EXPECT_NEAR(KernelDistance(x, y, at_once), whole, 1e-12) << at_once;
  EXPECT_NEAR(KernelDistance(x.flip(0), y.flip(0)), whole, 1e-12);
  EXPECT_NEAR(KernelDistance(y, x), whole, 1e-12);
}

// Sets of 20 of one distribution: the mean over 400 pairs is 0 within its standard error; with the diagonals
// left in it would be above it by far.
TEST(KernelDistance, HasNoBiasInSmallSets) {
  const Tensor x = Samples(5, 8000), y = Samples(6, 8000);
  const Tensor rows = torch::arange(8000).view({400, 1, 20}).expand({400, 2, 20});
  const MeanDeviation over = KernelDistanceOfSubsets(x, y, rows);
  EXPECT_LT(std::abs(over.mean), 4 * over.deviation / std::sqrt(400.0));
  const double diagonal = (x.to(torch::kFloat64).square().sum(1) / 6 + 1).pow(3).mean().item<double>();
  EXPECT_GT(2 * (diagonal - 2) / 20, 8 * over.deviation / std::sqrt(400.0));
}

TEST(KernelDistance, ValuesThatCannotBe) {
  const Tensor x = Samples(7, 4);
  EXPECT_ERROR(KernelDistance(x, x.slice(0, 0, 1)), Errc::kBadOption,
               "y of shape [1, 6], must be [N, F] with N at least 2");
  EXPECT_ERROR(KernelDistance(x, x.slice(1, 0, 2)), Errc::kBadOption, "features of 6 and 2 components");
  EXPECT_ERROR(KernelDistance(x / 0.0, x), Errc::kNumeric, "not all of x are finite");
  EXPECT_ERROR(KernelDistanceOfSubsets(x, x, torch::arange(10).view({1, 2, 5})), Errc::kBadOption,
               "rows 0 to 4 of x, must be in [0, 3]");
  EXPECT_ERROR(KernelDistanceOfSubsets(x, x, torch::arange(4)), Errc::kBadOption, "subsets of shape [4]");
}

}  // namespace
}  // namespace gas
