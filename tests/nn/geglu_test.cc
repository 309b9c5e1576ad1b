// The gated GELU: its formula, its gradient and the gradient of that, and its dtypes.
#include "gas/nn/geglu.h"

#include "support/expect.h"
#include "support/product_dtype.h"

namespace gas {
namespace {

using nn::Geglu;
using testing::Close;

Tensor Formula(const Tensor& x, const Tensor& bias) {
  const auto halves = (x + bias).chunk(2, -1);
  return halves[0] * torch::gelu(halves[1]);
}

// Gates from where nothing passes to where all does, and a width that no vector divides.
struct Numbers {
  Tensor x, bias, w;  // w: weights of the output in a loss
  Numbers() {
    torch::manual_seed(4);
    x = torch::randn({2, 13, 2 * 37}) * 4;
    bias = torch::randn({2 * 37});
    w = torch::randn({2, 13, 37});
  }
};

TEST(Geglu, OutputAndGradientAreThoseOfTheFormula) {
  const Numbers n;
  const auto result = [&](torch::Dtype dtype, const auto& f) {
    const Tensor x = n.x.detach().to(dtype).requires_grad_();
    const Tensor y = f(x, n.bias.to(dtype));
    (n.w * y).sum().backward();
    return std::pair(y.detach().to(torch::kFloat32), x.grad().to(torch::kFloat32));
  };
  const auto found = result(torch::kFloat32, Geglu), expected = result(torch::kFloat64, Formula);
  EXPECT_TRUE(Close(found.first, expected.first, 1e-6, 0));
  EXPECT_TRUE(Close(found.second, expected.second, 1e-6, 0));
}

TEST(Geglu, GradientOfThePenaltyOfItsGradientIsThatOfTheFormula) {
  const Numbers n;
  const auto penalty = [&](torch::Dtype dtype, const auto& f) {
    const Tensor x = n.x.detach().to(dtype).requires_grad_();
    const auto first = torch::autograd::grad({(n.w * f(x, n.bias.to(dtype))).sum()}, {x}, {}, true, true);
    return torch::autograd::grad({first[0].square().sum()}, {x})[0].to(torch::kFloat32);
  };
  EXPECT_TRUE(Close(penalty(torch::kFloat32, Geglu), penalty(torch::kFloat64, Formula), 1e-5, 0));
}

TEST(Geglu, TrainsItsBias) {
  const Numbers n;
  const Tensor ours = n.bias.clone().requires_grad_(), theirs = n.bias.clone().requires_grad_();
  (n.w * Geglu(n.x, ours)).sum().backward();
  (n.w * Formula(n.x, theirs)).sum().backward();
  EXPECT_TRUE(Close(ours.grad(), theirs.grad(), 1e-6, 0));
}

TEST(Geglu, OfBfloat16RoundsOnce) {
  SKIP_WITHOUT_BFLOAT16();
  const Numbers n;
  const Tensor narrow = n.x.to(torch::kBFloat16).requires_grad_();
  const Tensor wide = narrow.detach().to(torch::kFloat32).requires_grad_();
  const Tensor found = Geglu(narrow, n.bias), expected = Formula(wide, n.bias);
  EXPECT_EQ(found.scalar_type(), torch::kBFloat16);
  EXPECT_TRUE(Close(found.to(torch::kFloat32), expected, 4e-3, 0));
  (n.w.to(torch::kBFloat16) * found).sum().backward();
  (n.w.to(torch::kBFloat16).to(torch::kFloat32) * expected).sum().backward();
  EXPECT_TRUE(Close(narrow.grad().to(torch::kFloat32), wide.grad(), 4e-3, 0));
}

}  // namespace
}  // namespace gas
