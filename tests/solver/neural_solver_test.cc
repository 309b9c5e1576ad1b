// NeuralSolver's table against its published update, written out on its own.
#include "gas/solver/neural_solver.h"

#include "gas/solver/sampler.h"
#include "support/expect.h"

namespace gas {
namespace {

// Any function of state and time, as a network that predicts eps - x_0.
class AnyFlow : public Denoiser {
 public:
  PredictionType prediction_type() const override { return PredictionType::kFlow; }
  Tensor Predict(const Tensor& x, const NoiseLevel& at, const Condition&) const override {
    return Value(x, at.t.item<double>());
  }
  static Tensor Value(const Tensor& x, double t) { return torch::tanh(2 * x) * (1 + t) - 0.3 * x; }
};

// The published numbers of five steps, and the loop of the sampler: time from 0, velocities to the data.
TEST(NeuralSolver, IsItsPublishedUpdate) {
  const double deltas[] = {0.0521, 0.1475, 0.2114, 0.2797, 0.3092};
  const double coefficients[5][5] = {{}, {-1.26}, {1.38, -2.26}, {0, 0, -0.92}, {0, 0, 0, -0.7}};
  torch::manual_seed(1);
  const Tensor noise = torch::randn({6, 1, 2, 2}, torch::kFloat64);
  Tensor x = noise;
  std::vector<Tensor> velocities;
  double time = 0;
  for (int n = 0; n < 5; ++n) {
    velocities.push_back(-AnyFlow::Value(x, 1 - time));
    Tensor mean = torch::zeros_like(x);
    double sum = 0;
    for (int j = 0; j < n; ++j) {
      mean += coefficients[n][j] * velocities[j];
      sum += coefficients[n][j];
    }
    x = x + deltas[n] * (mean + (1 - sum) * velocities[n]);
    time += deltas[n];
  }
  const StepTable table = NeuralSolverTable(*FlowSchedule(), 5, 1e-3);
  // The network is told 1 - 2^-20 in place of 1.
  EXPECT_TRUE(testing::Close(RunTable(table, AnyFlow(), noise, {}), x, 1e-6, 0));
  EXPECT_NEAR(table.t_eval[3].item<double>(), 1 - 0.0521 - 0.1475 - 0.2114, 1e-12);
  EXPECT_EQ(table.t[-1].item<double>(), 1e-3);
  EXPECT_EQ(table.method, "neuralsolver");
}

// Whatever the coefficients, a velocity that does not change is followed to the end of the steps.
TEST(NeuralSolver, EveryTableFollowsAConstantVelocity) {
  for (const int64_t nfe : {5, 6, 7, 8, 9, 10, 15}) {
    SCOPED_TRACE(nfe);
    const StepTable table = NeuralSolverTable(*FlowSchedule(), nfe, 1e-3);
    ASSERT_EQ(table.nfe(), nfe);
    EXPECT_NO_THROW(ValidateTable(table));
    // x - m = t F for each node; with F = f everywhere row n moves the state by its step.
    const Tensor t = table.t.slice(0, 0, nfe), m_over_x = table.b.mv(torch::ones({nfe}, torch::kFloat64));
    const Tensor sums = table.a.sum(1) + m_over_x;  // states and predictions that are all the same stay so
    EXPECT_TRUE(testing::Close(sums, torch::ones({nfe}, torch::kFloat64), 0, 1e-9));
    const Tensor moved = table.b.mv(t);  // by f, if each m is x - t f and the states do not differ
    EXPECT_NEAR(moved.sum().item<double>(), 1, 4e-4);
  }
}

TEST(NeuralSolver, RefusesOtherNumbersAndSchedules) {
  EXPECT_ERROR(NeuralSolverTable(*FlowSchedule(), 4, 1e-3), Errc::kBadOption, "must be 5 to 10 or 15");
  EXPECT_ERROR(NeuralSolverTable(*VpLinearSchedule(), 5, 1e-3), Errc::kBadOption,
               "is for rectified flow, not for schedule \"vp-linear\"");
}

}  // namespace
}  // namespace gas
