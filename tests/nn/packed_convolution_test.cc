// Direct convolutions with packed weights against those without, where LibTorch has them.
#include "gas/nn/packed_convolution.h"

#include <ATen/Parallel.h>

#include "gas/nn/convolution.h"
#include "support/expect.h"

namespace gas {
namespace {

class PackedConvolution : public ::testing::TestWithParam<nn::Packing> {
 protected:
  void SetUp() override {
    if (!nn::CanPackWeights()) GTEST_SKIP() << "LibTorch 1 packs nothing";
    torch::manual_seed(9);
  }
};

// kernel = 2 padding + 1.
TEST_P(PackedConvolution, IsTheConvolutionAndItsInputGradient) {
  const nn::Packing p = GetParam();
  const int64_t kernel = 2 * p.padding + 1;
  const Tensor weight = torch::randn({18, 20, kernel, kernel}), bias = torch::randn({18});
  const auto frozen = std::make_shared<nn::FrozenConvolution>(weight, p);
  EXPECT_EQ(frozen->HasInputGradient(), p.stride == 1);
  for (const auto layout : {torch::MemoryFormat::Contiguous, torch::MemoryFormat::ChannelsLast}) {
    // Images of the size that they were packed for, and of another.
    for (const int64_t more : {0, 3}) {
      const Tensor x = torch::randn({3, 20, p.height + more, p.width}).contiguous(layout).requires_grad_();
      const Tensor y = nn::Convolution(x, weight, bias, frozen);
      const Tensor wide = x.detach().to(torch::kFloat64).requires_grad_();
      const Tensor exact =
          torch::conv2d(wide, weight.to(torch::kFloat64), bias.to(torch::kFloat64), p.stride, p.padding);
      EXPECT_TRUE(testing::Close(y.to(torch::kFloat64), exact, 1e-5, 1e-4));
      const Tensor gradient = torch::autograd::grad({y.square().sum()}, {x})[0];
      const Tensor expected = torch::autograd::grad({exact.square().sum()}, {wide})[0];
      EXPECT_TRUE(testing::Close(gradient.to(torch::kFloat64), expected, 1e-5, 1e-2));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Kernels, PackedConvolution,
    ::testing::Values(nn::Packing{.padding = 1, .height = 8, .width = 9, .input_gradient = true},
                      nn::Packing{.padding = 0, .height = 5, .width = 6, .input_gradient = true},
                      nn::Packing{
                          .padding = 1, .stride = 2, .height = 8, .width = 6, .input_gradient = true}));

TEST(PackedImages, AnImageIsTheSameInAnyBatchAndOnAnyThreads) {
  if (!nn::CanPackWeights()) GTEST_SKIP() << "LibTorch 1 packs nothing";
  torch::manual_seed(10);
  const Tensor weight = torch::randn({64, 48, 3, 3}), bias = torch::randn({64});
  const Tensor x = torch::randn({9, 48, 8, 8}).contiguous(torch::MemoryFormat::ChannelsLast);
  const nn::FrozenConvolution frozen(weight, nn::Packing{.padding = 1, .height = 8, .width = 8});
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const Tensor all = frozen.Forward(x, bias);
  for (const int count : {1, 2, 3}) {
    at::set_num_threads(count);
    for (const int64_t images : {1, 2, 9}) {
      EXPECT_TRUE(testing::SameBits(frozen.Forward(x.slice(0, 0, images), bias), all.slice(0, 0, images)))
          << images << " images, " << count << " threads";
    }
  }
  at::set_num_threads(threads);
}

TEST(PackedImages, AnEmptyBatchIsNotTaken) {
  if (!nn::CanPackWeights()) GTEST_SKIP() << "LibTorch 1 packs nothing";
  const Tensor weight = torch::randn({16, 16, 3, 3});
  const nn::FrozenConvolution frozen(weight, nn::Packing{.padding = 1, .height = 8, .width = 8});
  EXPECT_FALSE(frozen.Takes(torch::empty({0, 16, 8, 8}), weight));
}

}  // namespace
}  // namespace gas
