// Our convolution's derivatives against LibTorch's, to third order.
#include "gas/nn/convolution.h"

#include "support/expect.h"
#include "support/product_dtype.h"

namespace gas {
namespace {

using testing::Close;

struct ConvolutionCase {
  int64_t in, out, side, kernel;
  nn::ConvolutionShape shape;
  bool with_bias, weight_constant = false;
};

class Convolution : public ::testing::TestWithParam<ConvolutionCase> {};

// y, the gradient of a cubic function of y, and the gradients of its square, with respect to x, weight and
// bias.
std::vector<Tensor> Derivatives(const ConvolutionCase& c, bool ours, torch::MemoryFormat layout) {
  torch::manual_seed(21);
  const auto f64 = torch::kFloat64;
  std::vector<Tensor> inputs = {
      torch::randn({2, c.in, c.side, c.side}, f64).contiguous(layout).requires_grad_()};
  Tensor weight = torch::randn({c.out, c.in / c.shape.groups, c.kernel, c.kernel}, f64), bias;
  if (!c.weight_constant) inputs.push_back(weight.requires_grad_());
  if (c.with_bias) inputs.push_back((bias = torch::randn({c.out}, f64)).requires_grad_());
  const nn::ConvolutionShape& s = c.shape;
  const Tensor y = ours ? nn::Convolution(inputs[0], weight, bias, s)
                        : torch::conv2d(inputs[0], weight, bias, s.stride, s.padding, 1, s.groups);
  std::vector<Tensor> all = {y.detach()};
  Tensor scalar = y.pow(3).sum() / 100;
  for (int order = 1; order <= 3; ++order) {
    const auto gradients = torch::autograd::grad({scalar}, inputs, {}, /*retain_graph=*/true, order < 3);
    scalar = torch::zeros({}, f64);
    for (const Tensor& gradient : gradients) {
      all.push_back(gradient.detach());
      if (order < 3) scalar = scalar + gradient.square().sum() / gradient.detach().square().sum();
    }
  }
  return all;
}

TEST_P(Convolution, AgreesWithLibTorchToThirdOrder) {
  for (const auto layout : {torch::MemoryFormat::Contiguous, torch::MemoryFormat::ChannelsLast}) {
    const auto ours = Derivatives(GetParam(), true, layout), theirs = Derivatives(GetParam(), false, layout);
    ASSERT_EQ(ours.size(), theirs.size());
    for (size_t i = 0; i < ours.size(); ++i) EXPECT_TRUE(Close(ours[i], theirs[i], 1e-11, 1e-13)) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, Convolution,
    ::testing::Values(ConvolutionCase{4, 6, 5, 3, {.padding = 1}, true},
                      ConvolutionCase{4, 6, 5, 1, {}, false},
                      ConvolutionCase{4, 8, 6, 3, {.padding = 1, .groups = 2}, true},
                      ConvolutionCase{4, 4, 7, 4, {.padding = 1, .stride = 2, .groups = 4}, false},
                      ConvolutionCase{4, 4, 8, 4, {.padding = 1, .stride = 2, .groups = 4}, false, true},
                      ConvolutionCase{3, 5, 4, 4, {}, true},
                      ConvolutionCase{4, 6, 5, 3, {.padding = 1}, true, true}));

TEST(ConvolutionGradients, FirstOrderIsLibTorchsToTheBit) {
  torch::manual_seed(2);
  const Tensor x = torch::randn({3, 8, 9, 9}), w = torch::randn({16, 4, 3, 3}), b = torch::randn({16});
  const auto gradients = [&](bool ours) {
    const std::vector<Tensor> in = {x.clone().requires_grad_(), w.clone().requires_grad_(),
                                    b.clone().requires_grad_()};
    const Tensor y = ours ? nn::Convolution(in[0], in[1], in[2], {.padding = 1, .groups = 2})
                          : torch::conv2d(in[0], in[1], in[2], 1, 1, 1, 2);
    return torch::autograd::grad({y.square().sum()}, in);
  };
  const auto ours = gradients(true), theirs = gradients(false);
  for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(testing::SameBits(ours[i], theirs[i])) << i;
}

TEST(ConvolutionGradients, AutomaticCastingIsLibTorchs) {
  SKIP_WITHOUT_BFLOAT16();
  const AutocastGuard autocast(torch::kCPU, torch::kBFloat16);
  const Tensor x = torch::randn({1, 4, 5, 5}).requires_grad_(),
               w = torch::randn({4, 4, 3, 3}).requires_grad_();
  const Tensor y = nn::Convolution(x, w, {}, {.padding = 1});
  EXPECT_EQ(y.scalar_type(), torch::kBFloat16);
  y.sum().backward();
  EXPECT_EQ(w.grad().scalar_type(), torch::kFloat32);
}

}  // namespace
}  // namespace gas
