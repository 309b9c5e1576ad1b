#include "gas/schedule/denoiser.h"

#include "gas/schedule/noise_schedule.h"
#include "support/expect.h"
#include "support/gmm.h"

namespace gas {
namespace {

constexpr std::array<PredictionType, 4> kTypes = {PredictionType::kNoise, PredictionType::kData,
                                                  PredictionType::kVelocity, PredictionType::kFlow};

NoiseLevel LevelOf(double alpha, double sigma) { return {Scalar(0.5), Scalar(alpha), Scalar(sigma)}; }

TEST(PredictionType, NamesGoBothWays) {
  for (const PredictionType type : kTypes)
    EXPECT_EQ(kPredictionTypeNames.FromName(kPredictionTypeNames.NameOf(type)), type);
  EXPECT_ERROR(kPredictionTypeNames.FromName("noize"), Errc::kBadOption, "did you mean noise?");
}

// m = (x - sigma eps) / alpha with eps from the network at its own noise level, whatever it predicts.
TEST(DataPredictionOf, EveryTypeGivesTheSamePrediction) {
  const Tensor x = torch::tensor({-1.5, 0.25, 2.0}, torch::kFloat64),
               x0 = torch::tensor({-1.0, 0.5, 0.75}, torch::kFloat64);
  // Not variance preserving; the second pair is a decoupled time.
  for (const auto& [alpha, sigma] : {std::pair{0.7, 0.9}, std::pair{0.65, 1.1}}) {
    const NoiseLevel at = LevelOf(0.7, 0.9);
    const Tensor noise = (x - at.alpha * x0) / at.sigma;
    const Tensor expected = (x - sigma * noise) / alpha;
    for (const PredictionType type : kTypes) {
      const auto weights = DataPredictionOf(type, at, Scalar(alpha), Scalar(sigma));
      const Tensor m = weights.state * x + weights.network * testing::OutputFor(type, x, x0, at);
      EXPECT_TRUE(testing::Close(m, expected, 1e-14, 0)) << kPredictionTypeNames.NameOf(type);
    }
  }
}

TEST(DataPredictionOf, AgreeingPointsGiveExactWeights) {
  for (const auto& [alpha, sigma] :
       {std::pair{0.1, 0.994}, std::pair{1.0 / 3, 80.0 / 7}, std::pair{6.6e-3, 0.99998}}) {
    const NoiseLevel at = LevelOf(alpha, sigma);
    const auto data = DataPredictionOf(PredictionType::kData, at, Scalar(alpha), Scalar(sigma));
    EXPECT_EQ(data.state.item<double>(), 0.0);
    EXPECT_EQ(data.network.item<double>(), 1.0);
    // The general rule for v divides 1 - sigma^2 by alpha; here no digit is lost at small alpha.
    const auto velocity = DataPredictionOf(PredictionType::kVelocity, at, Scalar(alpha), Scalar(sigma));
    const double power = alpha * alpha + sigma * sigma;
    EXPECT_NEAR(velocity.state.item<double>() * power / alpha, 1, 1e-15);
    EXPECT_NEAR(velocity.network.item<double>() * power / -sigma, 1, 1e-15);
    const auto flow = DataPredictionOf(PredictionType::kFlow, at, Scalar(alpha), Scalar(sigma));
    EXPECT_NEAR(flow.state.item<double>() * (alpha + sigma), 1, 1e-15);
  }
}

// Exact weights must not cost the gradients: a trained time shift starts at zero.
TEST(DataPredictionOf, IsDifferentiableInAllFourNumbers) {
  for (const PredictionType type : kTypes) {
    const std::array<double, 4> point = {0.6, 0.8, 0.6,
                                         0.8};  // alpha, sigma of the network, then of the state
    const auto value = [&](const std::array<double, 4>& p) {
      const auto w = DataPredictionOf(type, LevelOf(p[0], p[1]), Scalar(p[2]), Scalar(p[3]));
      return (1.3 * w.state + 0.7 * w.network).item<double>();
    };
    std::vector<Tensor> inputs;
    for (const double p : point) inputs.push_back(Scalar(p).requires_grad_());
    const auto w = DataPredictionOf(type, {Scalar(0.5), inputs[0], inputs[1]}, inputs[2], inputs[3]);
    const auto gradients =
        torch::autograd::grad({1.3 * w.state + 0.7 * w.network}, inputs, {}, {}, false, true);
    for (size_t i = 0; i < 4; ++i) {
      auto up = point, down = point;
      up[i] += 1e-6;
      down[i] -= 1e-6;
      const double expected = (value(up) - value(down)) / 2e-6;
      const double actual = gradients[i].defined() ? gradients[i].item<double>() : 0.0;
      EXPECT_NEAR(actual, expected, 1e-7) << kPredictionTypeNames.NameOf(type) << " input " << i;
    }
  }
}

}  // namespace
}  // namespace gas
