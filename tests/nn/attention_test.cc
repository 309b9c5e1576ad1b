// Attention: its formula, what a causal one sees, and how much memory many positions take.
#include "gas/nn/attention.h"

#include "gas/core/allocation_meter.h"
#include "support/expect.h"
#include "support/product_dtype.h"

namespace gas {
namespace {

using nn::MultiHeadAttention;
using nn::Sees;
using testing::Close;

// softmax(q k^T / sqrt(D)) v with all weights at once, of one head.
Tensor Plain(const Tensor& q, const Tensor& k, const Tensor& v, bool earlier) {
  Tensor fits = torch::matmul(q, k.transpose(1, 2)) / std::sqrt(static_cast<double>(q.size(2)));
  if (earlier) {
    const Tensor later = torch::ones({q.size(1), k.size(1)}, torch::kBool).triu(1);
    fits = fits.masked_fill(later, -1e30);
  }
  return torch::matmul(fits.softmax(2), v);
}

struct Result {
  Tensor output;
  std::vector<Tensor> gradients;  // of sum(w output) by q, k, v
};

Result ResultOf(const std::vector<Tensor>& inputs, const Tensor& w,
                const std::function<Tensor(const Tensor& q, const Tensor& k, const Tensor& v)>& f) {
  std::vector<Tensor> leaves;
  for (const Tensor& input : inputs) leaves.push_back(input.clone().requires_grad_());
  const Tensor output = f(leaves[0], leaves[1], leaves[2]);
  (w * output).sum().backward();
  return {output.detach(), {leaves[0].grad(), leaves[1].grad(), leaves[2].grad()}};
}

std::vector<Tensor> Inputs(int64_t queries, int64_t keys, int64_t channels) {
  torch::manual_seed(3);
  return {torch::randn({1, queries, channels}), torch::randn({1, keys, channels}),
          torch::randn({1, keys, channels})};
}

TEST(Attention, CausalQueriesSeeWhatIsBeforeThem) {
  const auto inputs = Inputs(9, 9, 4);
  const Tensor causal = MultiHeadAttention(inputs[0], inputs[1], inputs[2], 1, Sees::kEarlier);
  EXPECT_TRUE(Close(causal, Plain(inputs[0], inputs[1], inputs[2], true), 1e-6, 0));
  EXPECT_TRUE(Close(causal[0][0], inputs[2][0][0], 1e-6, 0));  // the first sees itself alone
}

// Without a gradient LibTorch's fused kernels may take their place, for widths that they know (8) and others
// (6).
TEST(Attention, IsTheSameWithAndWithoutAGradient) {
  for (const int64_t channels : {16, 12}) {
    for (const bool earlier : {false, true}) {
      const auto inputs = Inputs(33, 33, channels);
      const auto attended = [&](const Tensor& q) {
        return MultiHeadAttention(q, inputs[1], inputs[2], 2, earlier ? Sees::kEarlier : Sees::kAll);
      };
      const Tensor plain = attended(inputs[0]), traced = attended(inputs[0].clone().requires_grad_());
      EXPECT_TRUE(Close(plain, traced, 1e-6, 0)) << channels;
    }
  }
}

TEST(Attention, KeepsTheTypeOfItsInputs) {
  SKIP_WITHOUT_BFLOAT16();
  for (const int64_t channels : {16, 12}) {
    std::vector<Tensor> narrow;
    for (const Tensor& x : Inputs(33, 33, channels)) narrow.push_back(x.to(torch::kBFloat16));
    EXPECT_EQ(MultiHeadAttention(narrow[0], narrow[1], narrow[2], 2).scalar_type(), torch::kBFloat16);
  }
}

// So many positions have more weights than are formed at once, 2^24.
constexpr int64_t kMany = 4200;

TEST(Attention, ManyPositionsAndTheirGradientsAreThoseOfTheWholeProduct) {
  const auto inputs = Inputs(kMany, kMany, 4);
  const Tensor w = torch::randn({1, kMany, 4});
  for (const bool earlier : {false, true}) {
    const Result found = ResultOf(inputs, w, [&](const Tensor& q, const Tensor& k, const Tensor& v) {
      return MultiHeadAttention(q, k, v, 1, earlier ? Sees::kEarlier : Sees::kAll);
    });
    const Result whole = ResultOf(inputs, w, [&](const Tensor& q, const Tensor& k, const Tensor& v) {
      return Plain(q, k, v, earlier);
    });
    EXPECT_TRUE(Close(found.output, whole.output, 1e-5, 0));
    for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(Close(found.gradients[i], whole.gradients[i], 1e-4, 0)) << i;
  }
}

// All weights at once are 70 MB.
TEST(Attention, ManyPositionsTakeBoundedMemoryForAGradientToo) {
  const auto inputs = Inputs(kMany, kMany, 4);
  const Tensor q = inputs[0].clone().requires_grad_(), w = torch::randn({1, kMany, 4});
  int64_t kept = 0;
  Tensor loss;
  {
    const AllocationMeter meter;
    loss = (w * MultiHeadAttention(q, inputs[1], inputs[2], 1)).sum();
    kept = meter.live_bytes();
  }
  EXPECT_LT(kept, int64_t{1} << 21);  // states, not weights
  loss.backward();
}

}  // namespace
}  // namespace gas
