// What training begins from when it begins from a fit.
#include "gas/train/initial_fit.h"

#include "gas/fit/fit_problem.h"
#include "gas/solver/dpm_multistep.h"
#include "gas/solver/lint.h"
#include "gas/solver/registry.h"
#include "gas/student/student.h"
#include "support/expect.h"
#include "support/gmm.h"

namespace gas {
namespace {

constexpr int64_t kNfe = 4;
constexpr double kStepSize = 1e-3;  // of Adam, by default

// The held-out error after a step in which Adam moves every parameter by its step size.
double ErrorAfterAStep(const StepTable& table, SchedulePtr schedule, const TrajectorySource& held_out) {
  const Student student = Student::FromTable(table, schedule);
  torch::manual_seed(1);
  std::map<std::string, Tensor> moved;
  for (const auto& [name, value] : student.parameters()) {
    moved[name] = value.detach() + kStepSize * torch::randn_like(value.detach()).sign();
  }
  return ErrorOn(student.TableOf(moved).Detached(), held_out);
}

// On the mixture early predictions are nearly collinear, and the plain fit cancels large coefficients.
TEST(InitialFit, AFitThatAmplifiesErrorsIsHeldTowardsTheBase) {
  const FitProblem problem =
      MakeFitProblem([](double) { return OpenModel("mixture"); }, {1}, {.training = 128, .held_out = 64});
  const SchedulePtr schedule = problem.models[0].schedule;
  for (const char* grid : {"uniform", "logsnr", "edm"}) {
    SCOPED_TRACE(grid);
    const FitSolverOptions options{.nfe = kNfe, .grid = grid};
    const FittedSolver plain = FitSolver(options, schedule, problem.sources);
    const InitialFit fit = FitToTrainFrom(options, schedule, problem.sources);
    ASSERT_GT(fit.plain_noise_gain, fit.most_noise_gain);
    EXPECT_EQ(LintTable(plain.fit.table, *schedule).noise_gain.value, fit.plain_noise_gain);
    EXPECT_GT(fit.least_ridge, 0);
    EXPECT_LE(LintTable(fit.table, *schedule).noise_gain.value, fit.most_noise_gain);
    // Better than the plain fit after a step, and better than the base solver before and after.
    EXPECT_LT(ErrorOn(fit.table, problem.sources.held_out), plain.base_held_out);
    const double after = ErrorAfterAStep(fit.table, schedule, problem.sources.held_out);
    EXPECT_LT(after, 0.1 * ErrorAfterAStep(plain.fit.table, schedule, problem.sources.held_out));
    EXPECT_LT(after, plain.base_held_out);
  }
}

// Where the bound holds, the fit is the plain one to the bit.
TEST(InitialFit, AFitThatDoesNotIsKept) {
  const auto open = [](double) {
    Model model = OpenModel("mixture");
    model.denoiser = std::make_shared<testing::GaussianDenoiser>(0.2, 0.5);
    return model;
  };
  const FitProblem problem = MakeFitProblem(open, {1}, {.training = 32, .held_out = 16});
  const SchedulePtr schedule = problem.models[0].schedule;
  const FitSolverOptions options{.nfe = 1, .grid = "uniform"};
  const InitialFit fit = FitToTrainFrom(options, schedule, problem.sources);
  EXPECT_EQ(fit.least_ridge, 0);
  EXPECT_TRUE(testing::SameBits(fit.table.b, FitSolver(options, schedule, problem.sources).fit.table.b));
}

}  // namespace
}  // namespace gas
