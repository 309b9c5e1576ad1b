#include "gas/fit/objective.h"

#include <algorithm>

#include "fit/problems.h"
#include "support/expect.h"

namespace gas {
namespace {

using testing::NoiseOf;

struct ObjectiveProblem {
  Tensor sample = NoiseOf(20, 5, {2, 4});
  Tensor directions = NoiseOf(1, 5, {3, 2, 4});  // [B,P,...]
  Tensor teacher = NoiseOf(50, 5, {2, 4});

  Tensor Moved(const Tensor& delta) const {
    return sample + torch::einsum("bpij,p->bij", {directions, delta});
  }
};

// The equations must have the objective's own gradient by delta at 0, where |J delta - r|^2 counts
// `share` of the distances.
void ExpectGradientOfDistances(const Objective& objective, double share, double tolerance) {
  const ObjectiveProblem p;
  const Objective::Equations e = objective.Linearise(p.sample, p.directions, p.teacher);
  const Tensor delta = torch::zeros({3}, torch::kFloat64).requires_grad_();
  const Tensor distance = objective.Distances(p.Moved(delta), p.teacher).sum();
  const Tensor expected = torch::autograd::grad({distance}, {delta})[0];
  const Tensor squares = (e.jacobian.matmul(delta) - e.missing).square().sum();
  const Tensor actual = share * torch::autograd::grad({squares}, {delta})[0];
  EXPECT_TRUE(testing::Close(actual, expected, tolerance, 0)) << actual << expected;
}

// Of sum sqrt(d^2 + delta^2): half of its weighted squares majorises it.
TEST(Objective, HubersEquationsHaveItsGradient) {
  for (const double delta : {1e-3, 0.1, 2.0}) {
    SCOPED_TRACE(delta);
    ExpectGradientOfDistances(*HuberObjective(delta), 0.5, 1e-12);
  }
}

TEST(Objective, HubersDistanceIsThatOfEachEntry) {
  const ObjectiveProblem p;
  const Tensor d = (p.sample - p.teacher).flatten(1);
  const Tensor expected = ((d.square() + 0.01).sqrt() - 0.1).sum(1);
  EXPECT_TRUE(testing::Close(HuberObjective(0.1)->Distances(p.sample, p.teacher), expected, 1e-12, 0));
}

// Differences are good to about 1e-8.
TEST(Objective, EmbeddingsEquationsAreItsLinearisation) {
  const ObjectiveProblem p;
  // Differentiable for the test, whatever guards the objective sets.
  const auto embedding = [](const Tensor& x) { return torch::tanh(x.flatten(1) * 1.3); };
  const ObjectivePtr objective = EmbeddingObjective(embedding);
  const Objective::Equations e = objective->Linearise(p.sample, p.directions, p.teacher);
  const Tensor difference = embedding(p.teacher) - embedding(p.sample);
  EXPECT_TRUE(testing::Close(e.missing, difference, 1e-12, 0));
  EXPECT_TRUE(
      testing::Close(objective->Distances(p.sample, p.teacher), difference.square().sum(1), 1e-12, 0));
  const Tensor slope = 1.3 * (1 - embedding(p.sample).square());  // [B,D]
  const Tensor jacobian = slope.unsqueeze(2) * p.directions.flatten(2).transpose(1, 2);
  EXPECT_TRUE(testing::Close(e.jacobian, jacobian, 1e-6, 0));
}

// However many numbers an embedding has, no more than 2^25 are held at once, and the distances are the same.
TEST(Objective, LargeEmbeddingsAreComparedPartByPart) {
  const Tensor sample = NoiseOf(0, 6, {2, 2}), teacher = NoiseOf(10, 6, {2, 2});
  constexpr int64_t kTimes = int64_t{3} << 20;  // 2.5 samples fill the bound
  int64_t most = 0;
  const auto embedding = [&most](const Tensor& x) {
    most = std::max(most, x.size(0));
    return x.flatten(1).unsqueeze(2).expand({x.size(0), 4, kTimes}).flatten(1);
  };
  const ObjectivePtr objective = EmbeddingObjective(embedding);
  const Tensor expected = kTimes * (sample - teacher).flatten(1).square().sum(1);
  EXPECT_TRUE(testing::Close(objective->Distances(sample, teacher), expected, 1e-9, 0));
  EXPECT_EQ(most, 2);
  EXPECT_EQ(LinearisedAtOnce(*objective, sample, /*directions=*/1, /*multiple=*/1), 2);
  EXPECT_EQ(LinearisedAtOnce(*objective, sample, /*directions=*/9, /*multiple=*/4), 4);
}

}  // namespace
}  // namespace gas
