// Operations on images that are larger than what is formed at once give the same with less memory.
#include "gas/core/allocation_meter.h"
#include "gas/nn/flops.h"
#include "gas/nn/ops.h"
#include "support/expect.h"

namespace gas {
namespace {

using testing::Close;

// Larger than what is formed at once, in the layout of the fused kernel and in the other.
TEST(GroupNormInPlace, ALargeInputsMemoryBecomesTheResult) {
  const torch::NoGradGuard no_grad;
  torch::manual_seed(7);
  const Tensor w = torch::randn({24}), b = torch::randn({24});
  for (const auto format : {torch::MemoryFormat::ChannelsLast, torch::MemoryFormat::Contiguous}) {
    const Tensor x = torch::randn({1, 24, 1000, 800}).contiguous(format);
    const Tensor expected = nn::GroupNorm(x, 6, w, b, 1e-5, /*silu=*/true);
    const AllocationMeter meter;
    const Tensor y = nn::GroupNormInPlace(x, 6, w, b, 1e-5, /*silu=*/true);
    EXPECT_LT(meter.peak_bytes(), static_cast<int64_t>(x.nbytes()));
    EXPECT_EQ(y.data_ptr(), x.data_ptr());
    EXPECT_TRUE(testing::Close(y, expected, 1e-6, 1e-6));
  }
}

TEST(GroupNormInPlace, WhatIsDifferentiatedStaysAsItIs) {
  const Tensor w = torch::randn({24}), b = torch::randn({24});
  const Tensor x = torch::randn({1, 24, 1000, 800});
  const Tensor before = x.clone();
  x.requires_grad_();
  const Tensor y = nn::GroupNormInPlace(x, 6, w, b, 1e-5);
  EXPECT_NE(y.data_ptr(), x.data_ptr());
  EXPECT_TRUE(x.equal(before));
  EXPECT_TRUE(y.requires_grad());
}

// By strips, whose borders are not at even rows, and whole where a gradient is wanted.
TEST(ConvolvedUpsampling, StripsAreTheWhole) {
  torch::manual_seed(8);
  for (const int64_t kernel : {3, 5}) {
    const Tensor x = torch::randn({1, 8, 1001, 1201}).contiguous(torch::MemoryFormat::ChannelsLast);
    const Tensor w = torch::randn({2, 8, kernel, kernel}), b = torch::randn({2});
    const auto of = [&](const Tensor& input) {
      const nn::FlopCounter counter;
      const Tensor y = nn::ConvolvedUpsampling(input, w, b);
      return std::pair(y, counter.flops());
    };
    const auto [whole, flops] = of(x.clone().requires_grad_());
    EXPECT_TRUE(whole.requires_grad());
    const torch::NoGradGuard no_grad;
    const AllocationMeter meter;
    const auto [strips, flops_of_strips] = of(x);
    EXPECT_LT(meter.peak_bytes(), static_cast<int64_t>(4 * x.nbytes()));  // the doubled image alone
    EXPECT_EQ(flops_of_strips, flops);
    EXPECT_TRUE(strips.is_contiguous(torch::MemoryFormat::ChannelsLast));
    EXPECT_TRUE(Close(strips, whole.detach(), 1e-5, 1e-5));
  }
}

TEST(Conv2d, ALargeImagesStripsAreTheWhole) {
  torch::manual_seed(8);
  const Tensor x = torch::randn({1, 24, 1001, 1201}).contiguous(torch::MemoryFormat::ChannelsLast);
  for (const int64_t kernel : {1, 3}) {
    for (const int64_t groups : {1, 2}) {
      const Tensor w = torch::randn({2, 24 / groups, kernel, kernel}), b = torch::randn({2});
      const Tensor whole = nn::Conv2d(x.clone().requires_grad_(), w, b, kernel / 2, /*stride=*/1, groups);
      const torch::NoGradGuard no_grad;
      const Tensor strips = nn::Conv2d(x, w, b, kernel / 2, /*stride=*/1, groups);
      EXPECT_TRUE(Close(strips, whole.detach(), 1e-5, 1e-5)) << kernel << ' ' << groups;
      EXPECT_TRUE(strips.is_contiguous(torch::MemoryFormat::ChannelsLast));
    }
  }
}

}  // namespace
}  // namespace gas
