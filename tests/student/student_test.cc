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
      EXPECT_TRUE(Close(StickBreakingGrid(StickBreakingTheta(grid), 1e-3, 1.0), grid, 0, 1e-4))
          << name << " " << n;
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

// Times never meet, and never leave their ends, however far training moves the numbers behind them.
TEST(TrainableGrid, FarNumbersKeepTimesApart) {
  const auto descends = [](const Tensor& theta) {
    const Tensor grid = StickBreakingGrid(theta, 1e-3, 1.0);
    return grid[0].item<double>() == 1.0 && grid[-1].item<double>() == 1e-3 &&
           (grid.diff() < 0).all().item<bool>();
  };
  EXPECT_TRUE(descends(torch::full({7}, 60.0, torch::kFloat64)));
  EXPECT_TRUE(descends(torch::full({2}, -60.0, torch::kFloat64)));
  EXPECT_TRUE(descends(torch::tensor({0.0, -60.0, 60.0, 0.5}, torch::kFloat64)));
}

TEST(Student, ZeroCorrectionsAreDpmSolverPP) {
  const SchedulePtr schedule = VpLinearSchedule();
  const testing::GaussianDenoiser network(0.3, 0.5);
  torch::manual_seed(1);
  const Tensor noise = torch::randn({4, 6}, torch::kFloat64);
  for (const auto base : {ThirdOrderBase::kPublished, ThirdOrderBase::kCorrected}) {
    for (const int64_t n : {1, 2, 3, 4, 7, 10}) {
      const Student student({.steps = n, .base = base}, schedule);
      const StepTable theory = DpmMultistepTable(
          {.order = std::min<int64_t>(n, 3), .lower_order_final = false, .third_order = base}, *schedule,
          student.Table().t.detach());
      EXPECT_TRUE(Close(student.Table().a, theory.a, 0, 1e-12)) << n;
      EXPECT_TRUE(Close(student.Table().b, theory.b, 0, 1e-12)) << n;
      torch::NoGradGuard no_grad;
      EXPECT_TRUE(Close(RunTable(student.Table(), network, noise, {}), RunTable(theory, network, noise, {}),
                        0, 1e-12));
    }
  }
}

// A table with coefficients of its own at every place that a student of this order reaches.
StepTable SomeTable(const SchedulePtr& schedule, int64_t steps, int64_t order, const SpectralBasisPtr& basis,
                    double t_first = 1.0) {
  StepTable table = DpmMultistepTable({.order = 1}, *schedule, LogSnrGrid(*schedule, steps, t_first, 1e-3));
  table.t_eval = table.t_eval * (1 - 0.01 * torch::rand({steps}, torch::kFloat64));
  table.alpha_eval = schedule->Alpha(table.t_eval);
  table.sigma_eval = schedule->Sigma(table.t_eval);
  std::vector<int64_t> shape = {steps, steps};
  if (basis != nullptr) shape.insert(shape.end(), {basis->components(), basis->bands()});
  const Tensor within = torch::ones({steps, steps}, torch::kFloat64).tril().triu(1 - order);
  for (Tensor* m : {&table.a, &table.b}) {
    *m = torch::randn(shape, torch::kFloat64) * (basis ? within.unsqueeze(2).unsqueeze(3) : within);
  }
  table.basis = basis;
  return table;
}

TEST(Student, ReproducesAnyTableItStartsFrom) {
  torch::manual_seed(3);
  for (const SchedulePtr& schedule : {VpLinearSchedule(), CosineSchedule()}) {
    for (const int64_t steps : {1, 2, 3, 4, 6, 10}) {
      for (const int64_t order : {int64_t{1}, int64_t{2}, int64_t{4}, steps}) {
        if (order > steps) continue;
        for (const auto base : {ThirdOrderBase::kPublished, ThirdOrderBase::kCorrected}) {
          const StepTable table = SomeTable(schedule, steps, order, nullptr, schedule->t_start());
          const StepTable again = Student::FromTable(table, schedule, {.order = order, .base = base}).Table();
          for (const auto& [expected, actual] :
               {std::pair(table.a, again.a), std::pair(table.b, again.b), std::pair(table.t, again.t),
                std::pair(table.t_eval, again.t_eval)}) {
            EXPECT_TRUE(Close(actual, expected, 1e-10, 0)) << steps << " steps, order " << order;
          }
        }
      }
    }
  }
}

TEST(Student, SpectralTablesKeepBandsAndStart) {
  torch::manual_seed(5);
  const SchedulePtr schedule = VpLinearSchedule();
  const SpectralBasisPtr basis = MakeSpectralBasis({2, 4, 4}, 3);
  StepTable table = SomeTable(schedule, 4, 4, basis, 0.7);
  table.start = std::make_shared<SpectralStart>(
      SpectralStart{torch::rand(basis->shape, torch::kFloat64), torch::rand(basis->shape, torch::kFloat64)});
  const Tensor noise = torch::randn({2, 2, 4, 4}, torch::kFloat64);
  const testing::GaussianDenoiser network(0.3, 0.5);
  const Tensor expected = RunTable(table, network, noise, {});
  for (const bool per_band : {false, true}) {
    const Student student = Student::FromTable(table, schedule, {.per_band = per_band});
    EXPECT_TRUE(Close(RunTable(student.Table(), network, noise, {}), expected, 1e-10, 0));
    EXPECT_EQ(student.parameters().at("c").dim(), per_band ? 4 : 2);
    RunTable(student.Table(), network, noise, {}).square().mean().backward();
    for (const auto& [name, value] : student.parameters()) {
      EXPECT_TRUE(value.grad().defined() && value.grad().ne(0).any().item<bool>()) << name;
    }
  }
}

// A start jumps from the schedule's own noise, which is as wide as its first time says, not as the table's.
TEST(Student, ALateTableBeginsWithTheNoiseOfTheSchedule) {
  torch::manual_seed(7);
  const SchedulePtr schedule = VeSchedule();
  StepTable table = SomeTable(schedule, 3, 3, MakeSpectralBasis({1, 2, 2}, 2), 20);
  table.prior_std = schedule->PriorStd(schedule->t_start());
  table.start = std::make_shared<SpectralStart>(
      SpectralStart{torch::full({1, 2, 2}, 0.25, torch::kFloat64), torch::zeros({1, 2, 2}, torch::kFloat64)});
  EXPECT_EQ(Student::FromTable(table, schedule, {}).Table().prior_std, 80);
}

TEST(Student, TablesOutOfReachAreRefused) {
  torch::manual_seed(6);
  const SchedulePtr schedule = VpLinearSchedule();
  const StepTable table = SomeTable(schedule, 5, 5, nullptr);
  EXPECT_ERROR(Student::FromTable(table, schedule, {.order = 3}), Errc::kBadOption, "student.order = 3");
  EXPECT_ERROR(Student::FromTable(table, schedule, {.per_band = true}), Errc::kBadOption,
               "need a spectral table");
}

TEST(Student, ATableOfAnotherScheduleIsRefused) {
  torch::manual_seed(6);
  const StepTable table = SomeTable(VpLinearSchedule(), 5, 5, nullptr);
  EXPECT_ERROR(Student::FromTable(table, VpLinearSchedule(0.1, 20.1)), Errc::kBadOption,
               "alpha and sigma of the table differ by up to 0.00");
  EXPECT_ERROR(Student::FromTable(table, VpLinearSchedule(0.1, 20.1)), Errc::kBadOption,
               "from the schedule's, must be at most 1e-05");
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
  for (const auto kind : {Parametrization::kTheory, Parametrization::kReferenceFree, Parametrization::kTimes,
                          Parametrization::kLms, Parametrization::kLmsCorrected}) {
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

TEST(Student, FreeCoefficientsBeginAsDpmSolverPP) {
  const SchedulePtr schedule = VpLinearSchedule();
  const testing::GaussianDenoiser network(0.3, 0.5);
  torch::manual_seed(1);
  const Tensor noise = torch::randn({4, 6}, torch::kFloat64);
  const torch::NoGradGuard no_grad;
  for (const auto kind : {Parametrization::kTimes, Parametrization::kLms, Parametrization::kLmsCorrected}) {
    for (const int64_t n : {1, 2, 3, 5}) {
      const Tensor expected = RunTable(Student({.steps = n}, schedule).Table(), network, noise, {});
      const Student student({.steps = n, .parametrization = kind}, schedule);
      EXPECT_TRUE(Close(RunTable(student.Table(), network, noise, {}), expected, 0, 1e-12)) << n;
    }
  }
}

// The table against the predictor-corrector written out as a loop.
TEST(Student, ACorrectedMultistepIsWhatItsFormulaSays) {
  const SchedulePtr schedule = VpLinearSchedule();
  const testing::GaussianDenoiser network(0.3, 0.5);
  Student student({.steps = 4, .order = 2, .parametrization = Parametrization::kLmsCorrected}, schedule);
  torch::manual_seed(3);
  const torch::NoGradGuard no_grad;
  std::map<std::string, Tensor> values;
  for (const auto& [name, value] : student.parameters())
    values[name] = value + 0.1 * torch::randn_like(value);
  values.at("xi").zero_();
  student.SetParameters(values);
  const StepTable table = student.Table();
  const Tensor alpha = schedule->Alpha(table.t), sigma = schedule->Sigma(table.t),
               lambda = schedule->HalfLogSnr(table.t);
  const Tensor noise = torch::randn({4, 6}, torch::kFloat64);
  Tensor predicted = noise, corrected = noise;
  std::vector<Tensor> m;
  const auto ask = [&](int64_t n) {
    m.push_back(network.Predict(predicted, {table.t[n], alpha[n], sigma[n]}, {}));
  };
  ask(0);
  for (int64_t n = 0; n < 4; ++n) {
    const Tensor scale = -alpha[n + 1] * torch::expm1(lambda[n] - lambda[n + 1]);
    const int64_t order = std::min<int64_t>(2, n + 1);
    predicted = sigma[n + 1] / sigma[n] * corrected;
    for (int64_t i = 1; i <= order; ++i) predicted = predicted + scale * values["c"][i - 1][n] * m[n + 1 - i];
    if (n == 3) break;
    ask(n + 1);
    corrected = sigma[n + 1] / sigma[n] * corrected;
    for (int64_t i = 0; i <= order; ++i) corrected = corrected + scale * values["d"][i][n] * m[n + 1 - i];
  }
  EXPECT_TRUE(Close(RunTable(table, network, noise, {}), predicted, 1e-12, 0));
}

TEST(Student, OffsetsDoNotLeaveTheScheduleAndCanComeBack) {
  const SchedulePtr schedule = VpLinearSchedule();
  Student student({.steps = 8}, schedule, MakeGrid("logsnr", *schedule, 8, 1e-3));
  auto values = student.parameters();
  values["xi"] = torch::full({8}, -0.1, torch::kFloat64);
  student.SetParameters(values);
  const StepTable table = student.Table();
  EXPECT_NEAR(table.t_eval.min().item<double>(), 1e-5, 1e-15);
  EXPECT_TRUE(table.sigma_eval.isfinite().all().item<bool>());
  table.t_eval[-1].backward();
  EXPECT_EQ(student.parameters().at("xi").grad()[-1].item<double>(), 1.0);
}

TEST(Student, RefusesImpossibleOrdersAndGrids) {
  const SchedulePtr schedule = VpLinearSchedule();
  EXPECT_ERROR(Student({.steps = 4, .order = 9}, schedule), Errc::kBadOption,
               "student.order = 9, must be in [1, student.steps = 4]");
  EXPECT_ERROR(
      Student({.steps = 4, .order = 2, .parametrization = Parametrization::kReferenceFree}, schedule),
      Errc::kBadOption, "must be in [3, student.steps = 4]");
  EXPECT_ERROR(Student({.steps = 0}, schedule), Errc::kBadOption, "student.steps = 0");
  EXPECT_ERROR(Student({.steps = 4}, schedule, MakeGrid("uniform", *schedule, 5, 1e-3)), Errc::kBadOption,
               "must be 5 times");
}

}  // namespace
}  // namespace gas
