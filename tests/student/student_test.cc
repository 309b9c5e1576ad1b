#include "gas/student/student.h"

#include "gas/grid/time_grid.h"
#include "gas/grid/trainable_grid.h"
#include "gas/solver/dpm_multistep.h"
#include "gas/solver/sampler.h"
#include "support/expect.h"
#include "support/gmm.h"

namespace gas {
namespace {

using testing::Close;

TEST(TrainableGrid, InvertsEveryGridAndStaysDescending) {
  const SchedulePtr schedule = VpLinearSchedule();
  for (const char* name : {"uniform", "quadratic", "logsnr", "edm"}) {
    for (const int64_t n : {1, 2, 4, 10}) {
      const Tensor grid = MakeGrid(name, *schedule, n, 1e-3);
      EXPECT_TRUE(Close(StickBreakingGrid(StickBreakingTheta(grid), 1e-3, 1.0), grid, 0, 1e-4)) << name << " " << n;
    }
  }
  torch::manual_seed(4);
  for (int trial = 0; trial < 200; ++trial) {
    const Tensor grid = StickBreakingGrid(torch::randn({7}, torch::kFloat64) * 4, 1e-3, 1.0);
    EXPECT_TRUE((grid.slice(0, 1) < grid.slice(0, 0, 8)).all().item<bool>());
    EXPECT_EQ(grid[0].item<double>(), 1.0);
    EXPECT_EQ(grid[-1].item<double>(), 1e-3);
  }
}

TEST(Student, ZeroCorrectionsAreDpmSolverPP) {
  const SchedulePtr schedule = VpLinearSchedule();
  const testing::GaussianDenoiser network(0.3, 0.5);
  torch::manual_seed(1);
  const Tensor noise = torch::randn({4, 6}, torch::kFloat64);
  for (const auto base : {ThirdOrderBase::kPublished, ThirdOrderBase::kCorrected}) {
    for (const int64_t n : {1, 2, 3, 4, 7, 10}) {
      const Student student({.steps = n, .base = base}, schedule);
      const StepTable theory = DpmMultistepTable({.order = std::min<int64_t>(n, 3), .lower_order_final = false,
                                                  .third_order = base}, *schedule, student.Table().t.detach());
      EXPECT_TRUE(Close(student.Table().a, theory.a, 0, 1e-12)) << n;
      EXPECT_TRUE(Close(student.Table().b, theory.b, 0, 1e-12)) << n;
      torch::NoGradGuard no_grad;
      EXPECT_TRUE(Close(RunTable(student.Table(), network, noise, {}), RunTable(theory, network, noise, {}), 0, 1e-12));
    }
  }
}

// Central differences of a scalar function of one tensor.
Tensor FiniteDifferences(const std::function<double(const Tensor&)>& f, const Tensor& at, double step) {
  Tensor gradient = torch::zeros_like(at);
  for (int64_t i = 0; i < at.numel(); ++i) {
    Tensor up = at.clone(), down = at.clone();
    up.view({-1})[i] += step;
    down.view({-1})[i] -= step;
    gradient.view({-1})[i] = (f(up) - f(down)) / (2 * step);
  }
  return gradient;
}

TEST(Student, FiniteDifferencesAgreeForEveryTrainedTensor) {
  const SchedulePtr schedule = VpLinearSchedule();
  const testing::GaussianDenoiser network(0.3, 0.5);
  for (const auto kind : {Parametrization::kTheory, Parametrization::kReferenceFree}) {
    Student student({.steps = 5, .order = 5, .parametrization = kind}, schedule);
    torch::manual_seed(2);
    const Tensor noise = torch::randn({3, 4}, torch::kFloat64);
    std::map<std::string, Tensor> values;
    for (const auto& [name, value] : student.parameters()) {
      values[name] = value.detach() + 0.03 * torch::randn_like(value.detach()) * (name == "xi" ? 0.1 : 1.0);
    }
    student.SetParameters(values);
    const auto loss_of = [&](const std::map<std::string, Tensor>& parameters) {
      return RunTable(student.TableOf(parameters), network, noise, {}).square().sum();
    };
    loss_of(student.parameters()).backward();
    for (const auto& [name, parameter] : student.parameters()) {
      const Tensor numeric = FiniteDifferences(
          [&, key = name](const Tensor& value) {
            auto changed = values;
            changed[key] = value;
            torch::NoGradGuard no_grad;
            return loss_of(changed).item<double>();
          },
          values.at(name), 1e-6);
      EXPECT_TRUE(Close(parameter.grad(), numeric, 1e-6, 1e-7)) << name;
      // The comparison itself can fail.
      EXPECT_FALSE(Close(parameter.grad() * 1.01 + 1e-4, numeric, 1e-6, 1e-7)) << name;
    }
  }
}

TEST(Student, RefusesImpossibleOrdersAndGrids) {
  const SchedulePtr schedule = VpLinearSchedule();
  EXPECT_ERROR(Student({.steps = 4, .order = 9}, schedule), Errc::kBadOption,
               "student.order = 9, must be in [1, student.steps = 4]");
  EXPECT_ERROR(Student({.steps = 4, .order = 2, .parametrization = Parametrization::kReferenceFree}, schedule),
               Errc::kBadOption, "must be in [3, student.steps = 4]");
  EXPECT_ERROR(Student({.steps = 0}, schedule), Errc::kBadOption, "student.steps = 0");
  EXPECT_ERROR(Student({.steps = 4}, schedule, MakeGrid("uniform", *schedule, 5, 1e-3)), Errc::kBadOption,
               "must be 5 times");
}

}  // namespace
}  // namespace gas
