// outside.cc - the installed package in a program of your own: a table, and a network that is a lambda.
//
// Expected last line: `largest error: E` with E < 0.02 (the exit status says so).
#include <cstdio>
#include <functional>

#include "gas/solver/registry.h"
#include "gas/solver/sampler.h"

namespace {

using gas::Tensor;

// Any callable as a network that predicts the data.
class CallableNetwork : public gas::Denoiser {
 public:
  using Function = std::function<Tensor(const Tensor& x, const gas::NoiseLevel& at)>;
  explicit CallableNetwork(Function function) : function_(std::move(function)) {}
  gas::PredictionType prediction_type() const override { return gas::PredictionType::kData; }
  Tensor Predict(const Tensor& x, const gas::NoiseLevel& at, const gas::Condition&) const override {
    return function_(x, at);
  }

 private:
  Function function_;
};

}  // namespace

int main() {
  // x0 ~ N(0, 0.5^2): the exact data prediction, and where the exact flow takes the noise.
  const double variance = 0.25, t_eps = 1e-3;
  const gas::SchedulePtr schedule = gas::VpLinearSchedule();
  const CallableNetwork network([=](const Tensor& x, const gas::NoiseLevel& at) {
    return (at.alpha * variance / (at.alpha.square() * variance + at.sigma.square())) * x;
  });
  const gas::StepTable table = gas::MakeSolverTable("dpmpp-2m", *schedule, "logsnr", 40, t_eps);
  const Tensor noise = torch::linspace(-2, 2, 16, torch::kFloat64).reshape({1, 1, 4, 4});
  const Tensor sample = gas::RunTable(table, network, noise, {});
  const auto spread = [&](double t) {
    return std::hypot(schedule->Alpha(t) * std::sqrt(variance), schedule->Sigma(t));
  };
  const double error = (sample - noise * (spread(t_eps) / spread(1.0))).abs().max().item<double>();
  std::printf("largest error: %.2g\n", error);
  return error < 0.02 ? 0 : 1;
}
