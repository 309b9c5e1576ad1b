// Noise tables of discrete processes.
#include "gas/schedule/alphas_cumprod.h"

#include <numbers>

#include "support/expect.h"

namespace gas {
namespace {

double Last(const Tensor& table) { return table[-1].item<double>(); }

TEST(AlphasCumprod, LinearIsDdpms) {
  const Tensor table = LinearAlphasCumprod();
  ASSERT_EQ(table.size(0), 1000);
  EXPECT_NEAR(table[0].item<double>(), 1 - 1e-4, 1e-15);
  EXPECT_NEAR(table[1].item<double>(), (1 - 1e-4) * (1 - 1e-4 - 0.0199 / 999), 1e-15);
  EXPECT_NEAR(1 - Last(table) / table[-2].item<double>(), 0.02, 1e-14);
  // Fewer steps have larger betas.
  EXPECT_NEAR(LinearAlphasCumprod(400)[0].item<double>(), 1 - 2.5e-4, 1e-15);
}

TEST(AlphasCumprod, CosineFollowsItsCurveUpToTheBound) {
  const Tensor table = CosineAlphasCumprod(100);
  const auto curve = [](double t) {
    return std::pow(std::cos((t + 0.008) / 1.008 * std::numbers::pi / 2), 2);
  };
  EXPECT_NEAR(table[49].item<double>(), curve(0.5) / curve(0), 1e-13);
  EXPECT_NEAR(Last(table) / table[-2].item<double>(), 1e-3, 1e-12);
}

TEST(AlphasCumprod, RefuseStepsThatMakeNoSchedule) {
  EXPECT_ERROR(LinearAlphasCumprod(20), Errc::kBadOption,
               "linear schedule of 20 steps, must be in [21, 1000000]");
  EXPECT_ERROR(CosineAlphasCumprod(1), Errc::kBadOption,
               "cosine schedule of 1 steps, must be in [2, 1000000]");
}

}  // namespace
}  // namespace gas
