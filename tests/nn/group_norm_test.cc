// The fused group normalisation against LibTorch's own.
#include "gas/nn/group_norm.h"

#include "support/expect.h"

namespace gas {
namespace {

struct GroupNormCase {
  int64_t batch, channels, size, groups;
  double offset;  // added to the input, to stress the variance
};

class FusedGroupNorm : public ::testing::TestWithParam<GroupNormCase> {};

Tensor Reference(const Tensor& x, int64_t groups, const Tensor& w, const Tensor& b, bool silu) {
  const Tensor y = torch::group_norm(x, groups, w, b, 1e-5);
  return silu ? torch::silu(y) : y;
}

TEST_P(FusedGroupNorm, AgreesInValueAndGradients) {
  const GroupNormCase c = GetParam();
  for (const bool silu : {false, true}) {
    torch::manual_seed(3);
    const Tensor data = torch::randn({c.batch, c.channels, c.size, c.size}, torch::kFloat64) + c.offset;
    const Tensor weight = torch::randn({c.channels}, torch::kFloat64),
                 bias = torch::randn({c.channels}, torch::kFloat64);
    const Tensor grad = torch::randn_like(data);
    const Tensor x = data.to(torch::kFloat32).contiguous(torch::MemoryFormat::ChannelsLast).requires_grad_();
    const Tensor w = weight.to(torch::kFloat32).requires_grad_(),
                 b = bias.to(torch::kFloat32).requires_grad_();
    ASSERT_TRUE(nn::CanFuseGroupNorm(x, w));
    const Tensor y = nn::FusedGroupNorm(x, c.groups, w, b, 1e-5, silu);
    EXPECT_TRUE(y.is_contiguous(torch::MemoryFormat::ChannelsLast));
    y.backward(grad.to(torch::kFloat32));
    const Tensor x64 = x.detach().to(torch::kFloat64).requires_grad_();
    const Tensor w64 = w.detach().to(torch::kFloat64).requires_grad_(),
                 b64 = b.detach().to(torch::kFloat64).requires_grad_();
    const Tensor y64 = Reference(x64, c.groups, w64, b64, silu);
    y64.backward(grad);
    EXPECT_TRUE(testing::Close(y, y64, 3e-6, 0));
    EXPECT_TRUE(testing::Close(x.grad(), x64.grad(), 1e-5, 0));
    EXPECT_TRUE(testing::Close(w.grad(), w64.grad(), 1e-5, 0));
    EXPECT_TRUE(testing::Close(b.grad(), b64.grad(), 1e-5, 0));
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, FusedGroupNorm,
                         ::testing::Values(GroupNormCase{2, 8, 5, 2, 0}, GroupNormCase{3, 32, 14, 8, 0},
                                           GroupNormCase{1, 24, 7, 6, 3}, GroupNormCase{2, 4, 1, 1, 0},
                                           GroupNormCase{2, 129, 3, 43, 0}));

// eps is added to the variance, which matters where the variance is as small.
TEST(FusedGroupNormValues, SmallVariancesAreRaisedByEps) {
  torch::manual_seed(6);
  const Tensor x = (torch::randn({2, 8, 5, 5}) * 3e-3).contiguous(torch::MemoryFormat::ChannelsLast);
  const Tensor w = torch::ones({8}), b = torch::zeros({8});
  const Tensor expected =
      Reference(x.to(torch::kFloat64), 2, w.to(torch::kFloat64), b.to(torch::kFloat64), false);
  EXPECT_TRUE(testing::Close(nn::FusedGroupNorm(x, 2, w, b, 1e-5, false), expected, 1e-5, 0));
}

// Squares of values far from zero would swallow the variance.
TEST(FusedGroupNormValues, SmallVariancesFarFromZeroKeepTheirDigits) {
  torch::manual_seed(7);
  const Tensor x = (1 + torch::randn({2, 8, 9, 9}) * 3e-3).contiguous(torch::MemoryFormat::ChannelsLast);
  const Tensor w = torch::ones({8}), b = torch::zeros({8});
  const Tensor expected =
      Reference(x.to(torch::kFloat64), 4, w.to(torch::kFloat64), b.to(torch::kFloat64), false);
  // The result is the difference of x / deviation, about 200, and as much: 200 * 2^-24 is lost.
  EXPECT_TRUE(testing::Close(nn::FusedGroupNorm(x, 4, w, b, 1e-5, false), expected, 5e-5, 0));
}

TEST(FusedGroupNormDerivatives, SecondDerivativeAgrees) {
  torch::manual_seed(5);
  const Tensor data = torch::randn({2, 8, 3, 3}).contiguous(torch::MemoryFormat::ChannelsLast);
  const Tensor w = torch::randn({8}), b = torch::randn({8}), v = torch::randn_like(data);
  const auto second = [&](bool fused) {
    const Tensor x = data.clone(torch::MemoryFormat::Preserve).requires_grad_();
    const Tensor weight = w.clone().requires_grad_();
    const Tensor y =
        fused ? nn::FusedGroupNorm(x, 2, weight, b, 1e-5, true) : Reference(x, 2, weight, b, true);
    const Tensor g = torch::autograd::grad({(y * v).sum()}, {x}, {}, true, true)[0];
    const auto gg = torch::autograd::grad({g.square().sum()}, {x, weight});
    return std::make_pair(gg[0], gg[1]);
  };
  const auto fused = second(true), reference = second(false);
  EXPECT_TRUE(testing::Close(fused.first, reference.first, 1e-4, 0));
  EXPECT_TRUE(testing::Close(fused.second, reference.second, 1e-4, 0));
}

// Gradient penalties through a frozen network: the penalty's own gradient with respect to an input that is
// itself computed, against central differences of the penalty.
TEST(FusedGroupNormDerivatives, GradientOfAGradientPenaltyByFiniteDifferences) {
  torch::manual_seed(6);
  const Tensor data = torch::randn({2, 8, 4, 4}), v = torch::randn_like(data),
               mix = torch::randn({8, 8, 1, 1}) / 3;
  const Tensor w = torch::randn({8}), b = torch::randn({8});
  const auto penalty = [&](const Tensor& x) {
    const Tensor h = torch::conv2d(x, mix).contiguous(torch::MemoryFormat::ChannelsLast);
    EXPECT_TRUE(nn::CanFuseGroupNorm(h, w));
    const Tensor y = nn::FusedGroupNorm(h, 2, w, b, 1e-5, true);
    return torch::autograd::grad({(y * v).sum()}, {x}, {}, true, true)[0].square().sum();
  };
  const Tensor x = data.clone().requires_grad_();
  const Tensor gradient = torch::autograd::grad({penalty(x)}, {x})[0];
  for (int i = 0; i < 3; ++i) {
    const Tensor direction = torch::randn_like(data);
    constexpr double kStep = 3e-3;
    const auto at = [&](double step) {
      return penalty((data + direction * step).requires_grad_()).item<double>();
    };
    const double numeric = (at(kStep) - at(-kStep)) / (2 * kStep);
    const double exact = (gradient * direction).sum().item<double>();
    // The penalty is known to 1e-6 of itself in float32, over the step; and the step's square.
    const double tolerance = 2e-6 * at(0) / kStep + 1e-2 * std::abs(exact);
    EXPECT_NEAR(numeric, exact, tolerance);
    EXPECT_GT(gradient.norm().item<double>() * direction.norm().item<double>(), 10 * tolerance);
  }
}

TEST(FusedGroupNormDerivatives, ExtremeInputsStayFinite) {
  const Tensor x = (torch::ones({1, 4, 2, 2}) * 1e4).contiguous(torch::MemoryFormat::ChannelsLast);
  const Tensor w = torch::full({4}, 1e3f), b = torch::tensor({-1e4f, 1e4f, 0.f, 50.f});
  EXPECT_TRUE(nn::FusedGroupNorm(x, 1, w, b, 1e-5, true).isfinite().all().item<bool>());
}

}  // namespace
}  // namespace gas
