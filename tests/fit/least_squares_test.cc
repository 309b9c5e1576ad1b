#include "gas/fit/least_squares.h"

#include "fit/problems.h"
#include "support/expect.h"

namespace gas {
namespace {

using testing::Close;
using testing::NoiseOf;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Equations {
  Tensor columns, target;
};

Equations RandomEquations(Seed seed, int64_t count, int64_t unknowns) {
  return {NoiseOf(seed, count, {1, 1, unknowns}).view({count, unknowns}),
          NoiseOf(seed + 10000, count, {1, 1, 1}).flatten()};
}

EquationSystem SystemOf(const Equations& e, int64_t block) {
  EquationSystem system(e.columns.size(1));
  for (int64_t i = 0; i < e.target.size(0); i += block) {
    system.Add(e.columns.slice(0, i, i + block), e.target.slice(0, i, i + block));
  }
  return system;
}

TEST(LeastSquares, AgreesWithLstsqWhateverTheBlocks) {
  const Equations e = RandomEquations(1, 90, 5);
  const Tensor expected = std::get<0>(torch::linalg_lstsq(e.columns, e.target.unsqueeze(1))).squeeze(1);
  for (const int64_t block : {1, 7, 90}) {
    const EquationSystem system = SystemOf(e, block);
    const Tensor w = RidgeSolver(system, torch::zeros(5, torch::kFloat64)).Solve(0);
    EXPECT_TRUE(Close(w, expected, 1e-12, 0)) << block;
    EXPECT_NEAR(system.SquaredError(w), (e.columns.mv(w) - e.target).square().sum().item<double>(), 1e-10);
    EXPECT_EQ(system.equations(), 90);
  }
}

TEST(LeastSquares, RidgeGoesFromTheSolutionToThePrior) {
  const Equations e = RandomEquations(2, 40, 3);
  const Tensor prior = torch::tensor({1.0, -2.0, 0.5}, torch::kFloat64);
  const RidgeSolver solver(SystemOf(e, 40), prior);
  EXPECT_TRUE(Close(solver.Solve(1e12), prior, 1e-9, 0));
  EXPECT_TRUE(Close(solver.Solve(kInfinity), prior, 0, 0));
  // Stationarity: C^T (C w - y) + ridge S^2 (w - prior) = 0.
  const Tensor w = solver.Solve(0.3), scale = e.columns.norm(2, {0}).square();
  const Tensor gradient = e.columns.t().mv(e.columns.mv(w) - e.target) + 0.3 * scale * (w - prior);
  EXPECT_LT(gradient.abs().max().item<double>(), 1e-10);
}

// What the equations say nothing about stays as in the prior, and the equations hold to rounding.
TEST(LeastSquares, KeepsThePriorInDirectionsWithoutEquations) {
  Equations e = RandomEquations(3, 50, 3);
  e.columns = torch::cat({e.columns, e.columns.slice(1, 0, 1) + 2 * e.columns.slice(1, 1, 2)}, 1);
  e.target = e.columns.mv(torch::tensor({1.0, 2.0, 3.0, 0.0}, torch::kFloat64));
  const RidgeSolver solver(SystemOf(e, 16), torch::tensor({0.0, 0.0, 0.0, 5.0}, torch::kFloat64));
  const Tensor w = solver.Solve(0);
  EXPECT_TRUE(Close(e.columns.mv(w), e.target, 1e-12, 0));
  EXPECT_LT(w.abs().max().item<double>(), 10);
}

TEST(LeastSquares, ConstraintHoldsExactly) {
  const Equations e = RandomEquations(4, 60, 4);
  const Tensor normal = torch::tensor({0.3, 1.0, 1.0, 1.0}, torch::kFloat64);
  const Tensor prior = torch::tensor({1.0, 0.2, -0.1, 0.4}, torch::kFloat64);
  const double value = normal.dot(prior).item<double>();
  const RidgeSolver solver(SystemOf(e, 60), prior, LinearConstraint{normal});
  for (const double ridge : {0.0, 1e-3, 1.0}) {
    EXPECT_NEAR(normal.dot(solver.Solve(ridge)).item<double>(), value, 1e-12) << ridge;
  }
  // Lagrange: the gradient is along the normal.
  const Tensor w = solver.Solve(0), gradient = e.columns.t().mv(e.columns.mv(w) - e.target);
  const Tensor along = normal * (gradient.dot(normal) / normal.dot(normal));
  EXPECT_LT((gradient - along).abs().max().item<double>(), 1e-10);
}

TEST(LeastSquares, CrossValidationShrinksNoise) {
  // Targets are pure noise: the prior is the best that can be said.
  std::vector<EquationSystem> folds;
  for (Seed f = 0; f < 4; ++f) folds.push_back(SystemOf(RandomEquations(20 + 100 * f, 12, 8), 12));
  const CrossValidated fitted =
      SolveCrossValidated(folds, torch::zeros(8, torch::kFloat64), {0, 1, kInfinity});
  EXPECT_GT(fitted.ridge, 0);
  const Tensor w = torch::tensor({1.0, 2.0, -1.0}, torch::kFloat64);
  std::vector<EquationSystem> exact;
  for (Seed f = 0; f < 3; ++f) {
    Equations e = RandomEquations(30 + 100 * f, 12, 3);
    e.target = e.columns.mv(w);
    exact.push_back(SystemOf(e, 5));
  }
  const CrossValidated found = SolveCrossValidated(exact, torch::zeros(3, torch::kFloat64), {0, 1e-3, 1});
  EXPECT_EQ(found.ridge, 0);
  EXPECT_LT(found.error, 1e-28);
  EXPECT_TRUE(Close(found.w, w, 1e-13, 0));
}

// The rule from its definition: the largest ridge whose error is within a share sqrt(2 / equations) of the
// least.
TEST(LeastSquares, OneStandardErrorTakesTheLargestRidgeWithinIt) {
  constexpr int64_t kFolds = 4, kEquations = 25;
  std::vector<EquationSystem> folds;
  const Tensor w = torch::tensor({1.0, -0.5, 0.25}, torch::kFloat64);
  for (Seed f = 0; f < kFolds; ++f) {
    Equations e = RandomEquations(40 + 100 * f, kEquations, 3);
    e.target = e.columns.mv(w) + 0.5 * e.target;
    folds.push_back(SystemOf(e, kEquations));
  }
  const Tensor prior = torch::zeros(3, torch::kFloat64);
  std::vector<double> ridges, errors;
  for (double ridge = 1e-3; ridge < 1e3; ridge *= 1.5) {
    ridges.push_back(ridge);
    errors.push_back(SolveCrossValidated(folds, prior, {ridge}).error);
  }
  const double least = *std::min_element(errors.begin(), errors.end());
  const double bound = least * (1 + std::sqrt(2.0 / (kFolds * kEquations)));
  size_t largest = 0;
  for (size_t i = 0; i < errors.size(); ++i) {
    if (errors[i] <= bound) largest = i;
  }
  ASSERT_LT(largest + 1, ridges.size());
  const CrossValidated best = SolveCrossValidated(folds, prior, ridges);
  const CrossValidated held = SolveCrossValidated(folds, prior, ridges, {}, RidgeChoice::kOneStandardError);
  EXPECT_EQ(best.error, least);
  EXPECT_EQ(held.ridge, ridges[largest]);
  EXPECT_GT(held.ridge, best.ridge);
}

TEST(LeastSquares, OneFoldIsRefused) {
  EXPECT_ERROR(SolveCrossValidated({EquationSystem(2)}, torch::zeros(2, torch::kFloat64), {0}),
               Errc::kBadOption, "cross-validation with 1 folds");
}

}  // namespace
}  // namespace gas
