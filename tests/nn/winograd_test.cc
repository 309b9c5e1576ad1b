// Convolutions by Winograd's algorithm against LibTorch's, and what layers do with them.
#include "gas/nn/winograd.h"

#include <ATen/Parallel.h>

#include "gas/nn/convolution.h"
#include "support/expect.h"

namespace gas {
namespace {

using nn::Direction;
using nn::WinogradTile;

// Of the largest number of the exact output. F(4x4) of random numbers is off by
// 2e-6 where LibTorch's is by 1e-6.
constexpr double kOutputError = 2e-5, kGradientError = 5e-5;

constexpr auto kTiles = {WinogradTile::kTwo, WinogradTile::kFour};

double Error(const Tensor& got, const Tensor& exact) {
  return ((got.to(torch::kFloat64) - exact).abs().max() / exact.abs().max()).item<double>();
}

Tensor Exact(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  const auto wide = [](const Tensor& t) { return t.defined() ? t.to(torch::kFloat64) : t; };
  return torch::conv2d(wide(x), wide(weight), wide(bias), 1, 1);
}

struct Size {
  int64_t batch, in, out, height, width;
};

class Winograd : public ::testing::TestWithParam<Size> {};

TEST_P(Winograd, IsTheConvolutionAndItsInputGradient) {
  const Size s = GetParam();
  torch::manual_seed(5);
  const Tensor weight = torch::randn({s.out, s.in, 3, 3}), bias = torch::randn({s.out});
  const Tensor grad = torch::randn({s.batch, s.out, s.height, s.width});
  const Tensor x = torch::randn({s.batch, s.in, s.height, s.width});
  const Tensor wide = x.to(torch::kFloat64).requires_grad_();
  const Tensor gradient = torch::autograd::grad({Exact(wide, weight, bias)}, {wide}, {grad})[0];
  for (const WinogradTile tile : kTiles) {
    for (const auto layout : {torch::MemoryFormat::Contiguous, torch::MemoryFormat::ChannelsLast}) {
      const nn::FrozenConvolution frozen(weight.contiguous(layout), tile, /*input_gradient=*/true);
      EXPECT_LT(Error(frozen.Forward(x.contiguous(layout), bias), Exact(x, weight, bias)), kOutputError);
      EXPECT_LT(Error(frozen.Forward(x.contiguous(layout), {}), Exact(x, weight, {})), kOutputError);
      EXPECT_LT(Error(frozen.InputGradient(grad.contiguous(layout)), gradient), kGradientError);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, Winograd,
                         ::testing::Values(Size{2, 32, 32, 8, 8}, Size{1, 3, 5, 7, 9}, Size{1, 48, 40, 1, 1},
                                           Size{3, 17, 33, 1, 6}, Size{2, 64, 16, 5, 1},
                                           Size{1, 256, 96, 13, 13}, Size{5, 16, 64, 17, 3}));

TEST(WinogradConvolution, ReadsViewsAndMoreTilesThanAreMadeAtOnce) {
  torch::manual_seed(6);
  const Tensor weight = torch::randn({20, 24, 3, 3});
  const Tensor x = torch::randn({2, 60, 50, 48}).transpose(1, 3).slice(1, 3, 27);  // [2,24,50,60]
  for (const WinogradTile tile : kTiles) {
    const nn::FrozenConvolution frozen(weight, tile, false);
    const Tensor y = frozen.Forward(x, {});
    EXPECT_TRUE(y.is_contiguous(torch::MemoryFormat::ChannelsLast));
    EXPECT_LT(Error(y, Exact(x, weight, {})), kOutputError);
  }
}

TEST(WinogradConvolution, AnEmptyBatchStaysEmpty) {
  const nn::FrozenConvolution frozen(torch::randn({16, 16, 3, 3}), WinogradTile::kFour, false);
  EXPECT_EQ(frozen.Forward(torch::empty({0, 16, 8, 8}), {}).sizes(), (std::vector<int64_t>{0, 16, 8, 8}));
}

TEST(WinogradConvolution, AnImageIsTheSameInAnyBatchAndOnAnyThreads) {
  torch::manual_seed(7);
  const Tensor weight = torch::randn({40, 24, 3, 3}), bias = torch::randn({40});
  const Tensor x = torch::randn({37, 24, 9, 10}).contiguous(torch::MemoryFormat::ChannelsLast);
  const int threads = at::get_num_threads();
  for (const WinogradTile tile : kTiles) {
    const nn::FrozenConvolution frozen(weight, tile, false);
    at::set_num_threads(1);
    const Tensor all = frozen.Forward(x, bias);
    for (const int count : {1, 2, 3}) {
      at::set_num_threads(count);
      EXPECT_TRUE(testing::SameBits(frozen.Forward(x, bias), all));
      for (const int64_t image : {0, 5, 36}) {
        EXPECT_TRUE(testing::SameBits(frozen.Forward(x.slice(0, image, image + 1), bias),
                                      all.slice(0, image, image + 1)));
      }
    }
  }
  at::set_num_threads(threads);
}

class FrozenConvolutionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    torch::manual_seed(8);
    weight_ = torch::randn({18, 20, 3, 3});
    bias_ = torch::randn({18});
    x_ = torch::randn({2, 20, 6, 7}).requires_grad_();
    frozen_ = std::make_shared<nn::FrozenConvolution>(weight_, WinogradTile::kFour, true);
  }

  // Gradients of the square of what is convolved with respect to x, and of the sum of their squares.
  std::vector<Tensor> Gradients(const nn::FrozenPtr& frozen) {
    const Tensor y = frozen ? nn::Convolution(x_, weight_, bias_, frozen)
                            : nn::Convolution(x_, weight_, bias_, {.padding = 1});
    const Tensor once = torch::autograd::grad({y.square().sum()}, {x_})[0];
    const Tensor again = frozen ? nn::Convolution(x_, weight_, bias_, frozen)
                                : nn::Convolution(x_, weight_, bias_, {.padding = 1});
    const Tensor first = torch::autograd::grad({again.pow(3).sum()}, {x_}, {}, true, true)[0];
    return {once, first.detach(), torch::autograd::grad({first.square().sum()}, {x_})[0]};
  }

  Tensor weight_, bias_, x_;
  nn::FrozenPtr frozen_;
};

TEST_F(FrozenConvolutionTest, GradientsAndTheirGradientsAreTheConvolutions) {
  const auto ours = Gradients(frozen_), direct = Gradients({});
  for (size_t i = 0; i < ours.size(); ++i) {
    EXPECT_LT(Error(ours[i], direct[i].to(torch::kFloat64)), kGradientError) << i;
  }
}

// A central difference of a square is exact, so a step as long as x itself loses nothing to rounding.
TEST_F(FrozenConvolutionTest, TheGradientIsTheDifferenceOfOutputs) {
  const auto loss = [&](const Tensor& x) {
    const Tensor y = nn::Convolution(x, weight_, bias_, frozen_);
    return y.to(torch::kFloat64).square().sum();
  };
  const Tensor gradient = torch::autograd::grad({loss(x_)}, {x_})[0];
  const torch::NoGradGuard no_grad;
  for (int i = 0; i < 5; ++i) {
    const Tensor step = torch::randn_like(x_);
    const double difference = (loss(x_ + step) - loss(x_ - step)).item<double>() / 2;
    const double expected = (gradient * step).to(torch::kFloat64).sum().item<double>();
    const double scale = gradient.norm().item<double>() * step.norm().item<double>();
    EXPECT_NEAR(difference, expected, 1e-5 * scale);
  }
}

TEST_F(FrozenConvolutionTest, WithoutACopyForItTheGradientIsLibTorchs) {
  frozen_ = std::make_shared<nn::FrozenConvolution>(weight_, WinogradTile::kTwo, false);
  const auto ours = Gradients(frozen_), direct = Gradients({});
  EXPECT_LT(Error(ours[0], direct[0].to(torch::kFloat64)), kGradientError);
}

TEST_F(FrozenConvolutionTest, AWeightThatHasChangedIsNotReplaced) {
  const Tensor before = nn::Convolution(x_, weight_, bias_, frozen_).detach();
  EXPECT_TRUE(frozen_->Takes(x_, weight_));
  weight_.mul_(2);
  EXPECT_FALSE(frozen_->Takes(x_, weight_));
  EXPECT_FALSE(frozen_->Takes(x_, weight_.clone()));
  const Tensor after = nn::Convolution(x_, weight_, bias_, frozen_).detach();
  EXPECT_TRUE(testing::SameBits(after, torch::conv2d(x_, weight_, bias_, 1, 1).detach()));
}

TEST_F(FrozenConvolutionTest, AWeightThatIsTrainedGetsItsGradient) {
  weight_.requires_grad_();
  const Tensor gradient =
      torch::autograd::grad({nn::Convolution(x_, weight_, bias_, frozen_).sum()}, {weight_})[0];
  const Tensor direct = torch::autograd::grad({torch::conv2d(x_, weight_, bias_, 1, 1).sum()}, {weight_})[0];
  EXPECT_TRUE(testing::Close(gradient, direct, 1e-5, 1e-5));
}

TEST_F(FrozenConvolutionTest, OtherNumbersThanFloat32AreLibTorchs) {
  EXPECT_FALSE(frozen_->Takes(x_.to(torch::kFloat64), weight_));
  EXPECT_FALSE(frozen_->Takes(x_.to(torch::kBFloat16), weight_));
}

}  // namespace
}  // namespace gas
