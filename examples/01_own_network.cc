// 01_own_network.cc - a network of your own, any solver by name, and a student trained for it. Seconds on a
// CPU.
//
// The "network" here is the exact denoiser of one Gaussian; yours derives from gas::Denoiser in the same way.
// Expected last line: `rmse to the exact flow: dpmpp-3m A, student B` with B < A / 5 (the exit status says
// so).
#include <cstdio>

#include "gas/solver/registry.h"
#include "gas/solver/sampler.h"
#include "gas/train/training_run.h"

namespace {

using gas::Tensor;

// x0 ~ N(0, 0.5^2) in every pixel: E[x0 | x] = alpha s^2 x / (alpha^2 s^2 + sigma^2).
class MyNetwork : public gas::Denoiser {
 public:
  gas::PredictionType prediction_type() const override { return gas::PredictionType::kData; }
  Tensor Predict(const Tensor& x, const gas::NoiseLevel& at, const gas::Condition&) const override {
    return (at.alpha * kVariance / (at.alpha.square() * kVariance + at.sigma.square())) * x;
  }
  static constexpr double kVariance = 0.25;
};

double Rmse(const Tensor& a, const Tensor& b) { return (a - b).square().mean().sqrt().item<double>(); }

}  // namespace

int main() {
  const int64_t nfe = 4;
  const double t_eps = 1e-3;
  const gas::SchedulePtr schedule = gas::VpLinearSchedule();
  const auto network = std::make_shared<MyNetwork>();

  // Noises, and where the exact flow takes them: what a long teacher run would give.
  torch::manual_seed(1);
  const Tensor noise = torch::randn({128, 1, 4, 4}, torch::kFloat64);
  const auto spread = [&](double t) {
    return std::hypot(schedule->Alpha(t) * std::sqrt(MyNetwork::kVariance), schedule->Sigma(t));
  };
  const Tensor target = noise * (spread(t_eps) / spread(1.0));

  gas::Student student({.steps = nfe, .t_eps = t_eps}, schedule);
  gas::GsTrainer trainer(student, network, gas::MakeDistance("l2"),
                         {.iterations = 200, .lr = 1e-2, .cosine = true, .ema_decay = 0.9});
  gas::TrainingRun run(trainer, {.folder = {}, .batch = 32});
  run.Run(gas::PairsOf(gas::Samples{noise, target, {}, {}, {}}), {}, nullptr);

  torch::NoGradGuard no_grad;
  const Tensor fresh = torch::randn({128, 1, 4, 4}, torch::kFloat64);
  const Tensor exact = fresh * (spread(t_eps) / spread(1.0));
  const gas::StepTable theory = gas::MakeSolverTable("dpmpp-3m", *schedule, "logsnr", nfe, t_eps);
  const double by_theory = Rmse(gas::RunTable(theory, *network, fresh, {}), exact);
  const double by_student = Rmse(gas::RunTable(trainer.AverageTable(), *network, fresh, {}), exact);
  std::printf("rmse to the exact flow: dpmpp-3m %.5f, student %.5f\n", by_theory, by_student);
  return by_student < by_theory / 5 ? 0 : 1;
}
