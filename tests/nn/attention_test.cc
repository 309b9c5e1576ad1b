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

// For widths that vectors divide (8) and others (6).
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

// The formula for several heads, each of its channels in a row.
Tensor PlainHeads(const Tensor& q, const Tensor& k, const Tensor& v, int64_t heads, bool earlier) {
  std::vector<Tensor> outputs;
  const auto all_q = q.chunk(heads, 2), all_k = k.chunk(heads, 2), all_v = v.chunk(heads, 2);
  for (int64_t i = 0; i < heads; ++i) outputs.push_back(Plain(all_q[i], all_k[i], all_v[i], earlier));
  return torch::cat(outputs, 2);
}

struct AttentionSizes {
  int64_t batch, queries, keys, heads, width;
  bool earlier;
};

void PrintTo(const AttentionSizes& s, std::ostream* out) {
  *out << s.batch << 'x' << s.queries << 'x' << s.keys << 'x' << s.heads << 'x' << s.width
       << (s.earlier ? " earlier" : "");
}

class AttentionOfSizes : public ::testing::TestWithParam<AttentionSizes> {
 protected:
  void SetUp() override { torch::manual_seed(5); }

  // q, k, v and the weights of the output in a loss.
  std::vector<Tensor> Numbers(torch::Dtype dtype = torch::kFloat32) const {
    const AttentionSizes& s = GetParam();
    const auto of = [&](int64_t positions) {
      return torch::randn({s.batch, positions, s.heads * s.width}).to(dtype);
    };
    return {of(s.queries), of(s.keys), of(s.keys), of(s.queries)};
  }

  Tensor Attended(const Tensor& q, const Tensor& k, const Tensor& v) const {
    return MultiHeadAttention(q, k, v, GetParam().heads, GetParam().earlier ? Sees::kEarlier : Sees::kAll);
  }
  Tensor Formula(const Tensor& q, const Tensor& k, const Tensor& v) const {
    return PlainHeads(q, k, v, GetParam().heads, GetParam().earlier);
  }
};

TEST_P(AttentionOfSizes, OutputAndGradientsAreThoseOfTheFormula) {
  const auto n = Numbers();
  const auto result = [&](const auto& f) { return ResultOf({n[0], n[1], n[2]}, n[3], f); };
  const auto ours = [&](const Tensor& q, const Tensor& k, const Tensor& v) { return Attended(q, k, v); };
  const Result found = result(ours),
               expected = result([&](const Tensor&q, const Tensor&k, const Tensor&v) {
                 return Formula(q.to(torch::kFloat64), k.to(torch::kFloat64), v.to(torch::kFloat64));
               });
  EXPECT_TRUE(Close(found.output, expected.output.to(torch::kFloat32), 1e-5, 0));
  EXPECT_TRUE(Close(found.output, Attended(n[0], n[1], n[2]), 0, 0));  // without a gradient
  for (size_t i = 0; i < 3; ++i)
    EXPECT_TRUE(Close(found.gradients[i], expected.gradients[i], 2e-5, 2e-6)) << i;
}

// Of a penalty on the gradient.
TEST_P(AttentionOfSizes, GradientsOfTheGradientAreThoseOfTheFormula) {
  const auto n = Numbers();
  const auto penalty = [&](const auto& f) {
    std::vector<Tensor> leaves;
    for (int i = 0; i < 3; ++i) leaves.push_back(n[i].to(torch::kFloat64).requires_grad_());
    const auto first =
        torch::autograd::grad({(n[3] * f(leaves)).sum()}, leaves, {}, true, /*create_graph=*/true);
    Tensor loss = torch::zeros({}, torch::kFloat64);
    for (const Tensor& gradient : first) loss = loss + gradient.square().sum();
    return torch::autograd::grad({loss}, leaves);
  };
  const auto found = penalty([&](const std::vector<Tensor>& x) {
    return Attended(x[0].to(torch::kFloat32), x[1].to(torch::kFloat32), x[2].to(torch::kFloat32));
  });
  const auto expected = penalty([&](const std::vector<Tensor>& x) { return Formula(x[0], x[1], x[2]); });
  for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(Close(found[i], expected[i], 1e-3, 1e-4)) << i;
}

TEST_P(AttentionOfSizes, InBfloat16TheyAreAsNearAsItsRounding) {
  SKIP_WITHOUT_BFLOAT16();
  const auto n = Numbers(torch::kBFloat16);
  const auto result = [&](torch::Dtype dtype) {
    return ResultOf({n[0].to(dtype), n[1].to(dtype), n[2].to(dtype)}, n[3].to(dtype),
                    [&](const Tensor& q, const Tensor& k, const Tensor& v) { return Attended(q, k, v); });
  };
  const Result found = result(torch::kBFloat16), wide = result(torch::kFloat32);
  const auto near = [](const Tensor& narrow, const Tensor& exact) {
    EXPECT_EQ(narrow.scalar_type(), torch::kBFloat16);
    const double largest = exact.abs().max().item<double>();
    return Close(narrow.to(torch::kFloat32), exact, 2e-2 * largest + 1e-6, 0);
  };
  EXPECT_TRUE(near(found.output, wide.output));
  for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(near(found.gradients[i], wide.gradients[i])) << i;
}

// More than a tile of queries (64) and keys (128) and parts of them, cross-attention to a text's 77 tokens,
// single positions, and widths that no vector divides.
INSTANTIATE_TEST_SUITE_P(
    Sizes, AttentionOfSizes,
    ::testing::Values(AttentionSizes{2, 64, 128, 2, 40, false}, AttentionSizes{1, 300, 300, 2, 24, false},
                      AttentionSizes{1, 300, 300, 2, 24, true}, AttentionSizes{2, 65, 77, 3, 7, false},
                      AttentionSizes{2, 77, 77, 3, 7, true}, AttentionSizes{1, 129, 1, 2, 8, false},
                      AttentionSizes{3, 1, 131, 1, 33, false}, AttentionSizes{1, 1, 1, 1, 1, true}));

TEST(Attention, AnImageIsTheSameInAnyBatchAndOnAnyThreads) {
  torch::manual_seed(6);
  const Tensor qkv = torch::randn({3, 3 * 40, 17, 19});
  const int threads = torch::get_num_threads();
  const auto result = [](const Tensor& from) {
    const Tensor x = from.clone().requires_grad_();
    const Tensor y = nn::SelfAttention(x, 2, nn::QkvOrder::kHeadPartChannel);
    y.square().sum().backward();
    return std::vector<Tensor>{y.detach(), x.grad()};
  };
  torch::set_num_threads(1);
  const auto alone = result(qkv.slice(0, 1, 2));
  torch::set_num_threads(3);
  const auto together = result(qkv);
  torch::set_num_threads(threads);
  for (size_t i = 0; i < 2; ++i) EXPECT_TRUE(torch::equal(alone[i], together[i].slice(0, 1, 2))) << i;
}

// The channels of a head stand apart in the first order, the parts of a head in the others.
TEST(Attention, QkvOrdersNameTheSameNumbers) {
  torch::manual_seed(7);
  const Tensor parts = torch::randn({2, 3, 2, 10, 9, 5});  // [B,part,head,channel,H,W]
  const auto attended = [&](at::IntArrayRef order, nn::QkvOrder name) {
    return nn::SelfAttention(parts.permute(order).reshape({2, 60, 9, 5}), 2, name);
  };
  const Tensor expected = attended({0, 1, 2, 3, 4, 5}, nn::QkvOrder::kPartHeadChannel);
  EXPECT_TRUE(torch::equal(attended({0, 2, 1, 3, 4, 5}, nn::QkvOrder::kHeadPartChannel), expected));
  EXPECT_TRUE(torch::equal(attended({0, 2, 3, 1, 4, 5}, nn::QkvOrder::kHeadChannelPart), expected));
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
