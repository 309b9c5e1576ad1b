#include "gas/fit/objective.h"

#include "fit/problems.h"
#include "support/expect.h"

namespace gas {
namespace {

using testing::NoiseOf;

struct ObjectiveProblem {
  Tensor columns = NoiseOf(1, 5, {3, 2, 4});  // [B,P,...]
  Tensor teacher = NoiseOf(50, 5, {2, 4});
  Tensor w = torch::tensor({0.7, -0.2, 1.1}, torch::kFloat64);

  Tensor Sample(const Tensor& at) const { return torch::einsum("bpij,p->bij", {columns, at}); }
};

// |J w - r|^2 / 2 with the equations of `objective` at the problem's w.
Tensor HalfSquaredResidual(const Objective::Equations& e, const Tensor& w) {
  return (e.columns.matmul(w) - e.target).square().sum() / 2;
}

// What is linearised at w has the objective's own gradient there: of sum sqrt(d^2 + delta^2).
TEST(Objective, HubersEquationsHaveItsGradient) {
  const ObjectiveProblem p;
  for (const double delta : {1e-3, 0.1, 2.0}) {
    const Objective::Equations e = HuberObjective(delta)->Linearise(p.columns, p.w, p.teacher);
    const Tensor w = p.w.clone().requires_grad_();
    const Tensor distance = ((p.Sample(w) - p.teacher).square() + delta * delta).sqrt().sum();
    const Tensor expected = torch::autograd::grad({distance}, {w})[0];
    const Tensor actual = torch::autograd::grad({HalfSquaredResidual(e, w)}, {w})[0];
    EXPECT_TRUE(testing::Close(actual, expected, 1e-12, 0)) << delta;
  }
}

// Gauss-Newton: the residual at w is the difference of embeddings, and J their derivative.
TEST(Objective, EmbeddingsEquationsAreItsLinearisation) {
  const ObjectiveProblem p;
  const auto embedding = [](const Tensor& x) { return torch::tanh(x.flatten(1) * 1.3); };
  const Objective::Equations e = EmbeddingObjective(embedding)->Linearise(p.columns, p.w, p.teacher);
  EXPECT_TRUE(testing::Close(e.columns.matmul(p.w) - e.target,
                             embedding(p.Sample(p.w)) - embedding(p.teacher), 1e-12, 0));
  const Tensor w = p.w.clone().requires_grad_();
  const Tensor distance = (embedding(p.Sample(w)) - embedding(p.teacher)).square().sum() / 2;
  const Tensor expected = torch::autograd::grad({distance}, {w})[0];
  const Tensor actual = torch::autograd::grad({HalfSquaredResidual(e, w)}, {w})[0];
  // J comes from differences, which are good to about 1e-8.
  EXPECT_TRUE(testing::Close(actual, expected, 1e-6, 0));
}

}  // namespace
}  // namespace gas
