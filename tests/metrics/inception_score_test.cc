#include "gas/metrics/inception_score.h"

#include <limits>

#include "support/expect.h"

namespace gas {
namespace {

TEST(InceptionScore, IsTheNumberOfClassesForSureAndEvenPredictions) {
  const double none = -std::numeric_limits<double>::infinity();
  const Tensor sure = torch::eye(5).repeat({8, 1}).log();  // logarithms of one-hot probabilities
  EXPECT_EQ(sure.min().item<double>(), none);
  const MeanDeviation score = InceptionScore(sure, 4);
  EXPECT_NEAR(score.mean, 5, 1e-14);
  EXPECT_NEAR(score.deviation, 0, 1e-14);
}

TEST(InceptionScore, IsOneWhereAllSamplesAreAlike) {
  torch::manual_seed(1);
  EXPECT_NEAR(InceptionScore(torch::randn({1, 7}).expand({30, 7}), 3).mean, 1, 1e-14);
}

TEST(InceptionScore, DoesNotDependOnOrderWithinASplitNorOnAConstant) {
  torch::manual_seed(2);
  const Tensor logits = torch::randn({25, 6}, torch::kFloat64);
  const double whole = InceptionScore(logits, 1).mean;
  EXPECT_NEAR(InceptionScore(logits.flip(0), 1).mean, whole, 1e-14);
  EXPECT_NEAR(InceptionScore(logits + torch::randn({25, 1}), 1).mean, whole, 1e-13);
  EXPECT_GT(InceptionScore(logits, 1).mean,
            InceptionScore(logits, 25).mean);  // a split of one sample scores 1
}

TEST(InceptionScore, ValuesThatCannotBe) {
  const Tensor logits = torch::zeros({4, 3});
  EXPECT_ERROR(InceptionScore(logits, 5), Errc::kBadOption, "5 splits, must be in [1, 4]");
  EXPECT_ERROR(InceptionScore(logits, 0), Errc::kBadOption, "0 splits, must be in [1, 4]");
  EXPECT_ERROR(InceptionScore(logits[0], 1), Errc::kBadOption, "logits of shape [3], must be [N, C]");
  EXPECT_ERROR(InceptionScore(logits / 0.0, 1), Errc::kNumeric, "hold NaN");
}

}  // namespace
}  // namespace gas
