// What tests/models/process_worker.cc serves, and how it is started.
#ifndef GAS_TESTS_MODELS_PROCESS_WORKER_H_
#define GAS_TESTS_MODELS_PROCESS_WORKER_H_

#include <string>

#include "gas/schedule/denoiser.h"
#include "gas/schedule/noise_schedule.h"

namespace gas::testing {

// The command of a worker with these entries in its first line, an object of JSON, and these faults.
inline std::string WorkerCommand(const std::string& hello = "{}", const std::string& faults = "") {
  return std::string("exec '") + GAS_PROCESS_WORKER + "' '" + hello + "' " + faults;
}

inline NoiseLevel VpLevelAt(double t) {
  const SchedulePtr schedule = VpLinearSchedule();
  const Tensor time = torch::scalar_tensor(t, torch::kFloat64);
  return {time, schedule->Alpha(time), schedule->Sigma(time)};
}

// Its network, in float64: x [B,...], m [B], differentiable.
inline Tensor TwoPoints(const Tensor& x, const NoiseLevel& at, const Tensor& m) {
  constexpr double kVariance = 0.04, kDrift = 0.05;
  std::vector<int64_t> column(static_cast<size_t>(x.dim()), 1);
  column[0] = -1;
  const Tensor state = x.to(torch::kFloat64), mean = m.to(torch::kFloat64).view(column);
  const Tensor v = at.alpha * at.alpha * kVariance + at.sigma * at.sigma;
  const Tensor w = torch::tanh(at.alpha * mean * state / v);
  return (1 + kDrift * at.t) * (mean * w * at.sigma * at.sigma + at.alpha * kVariance * state) / v;
}

}  // namespace gas::testing

#endif  // GAS_TESTS_MODELS_PROCESS_WORKER_H_
