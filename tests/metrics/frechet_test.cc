#include "gas/metrics/frechet.h"

#include "support/expect.h"

namespace gas {
namespace {

FeatureStatistics Statistics(const Tensor& features, int64_t batch) {
  StatisticsAccumulator accumulator(features.size(1));
  for (int64_t i = 0; i < features.size(0); i += batch) {
    accumulator.Add(features.slice(0, i, std::min(features.size(0), i + batch)));
  }
  return accumulator.Finish();
}

TEST(Statistics, DoNotDependOnBatches) {
  torch::manual_seed(1);
  const Tensor x = torch::randn({100, 6}, torch::kFloat64) * 3 + 1000;
  const FeatureStatistics a = Statistics(x, 7), b = Statistics(x, 100);
  EXPECT_TRUE(testing::Close(a.mean, x.mean(0), 1e-14, 0));
  EXPECT_TRUE(testing::Close(a.covariance, b.covariance, 1e-11, 0));
  EXPECT_TRUE(testing::Close(a.covariance, torch::cov(x.t()), 1e-11, 0));
  EXPECT_ERROR(Statistics(x.slice(0, 0, 1), 1), Errc::kBadOption,
               "statistics of 1 samples, must be at least 2");
}

TEST(Frechet, IsTheClosedFormForCommutingCovariances) {
  const Tensor s1 = torch::tensor({4.0, 1.0, 0.0}, torch::kFloat64),
               s2 = torch::tensor({1.0, 9.0, 0.25}, torch::kFloat64);
  const Tensor m1 = torch::tensor({0.0, 1.0, 2.0}, torch::kFloat64), m2 = torch::zeros({3}, torch::kFloat64);
  const double expected = 5 + (s1.sqrt() - s2.sqrt()).square().sum().item<double>();
  EXPECT_NEAR(FrechetDistance({m1, s1.diag()}, {m2, s2.diag()}), expected, 1e-9);
}

TEST(Frechet, IsZeroForEqualAndSymmetricInItsArguments) {
  torch::manual_seed(2);
  const FeatureStatistics a = Statistics(torch::randn({50, 20}, torch::kFloat64), 50);
  const FeatureStatistics b = Statistics(torch::randn({10, 20}, torch::kFloat64), 10);  // rank-deficient
  EXPECT_NEAR(FrechetDistance(a, a), 0, 1e-9);
  EXPECT_NEAR(FrechetDistance(a, b), FrechetDistance(b, a), 1e-6);
}

}  // namespace
}  // namespace gas
