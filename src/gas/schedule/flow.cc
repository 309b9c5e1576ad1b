// Rectified flow: the straight path between data and noise (Liu et al. 2022).
#include "gas/core/error.h"
#include "gas/schedule/noise_schedule.h"

namespace gas {
namespace {

// At t = 1 alpha is 0 and lambda infinite; sampling starts one step of a 1000-step training grid below.
constexpr double kFlowStart = 0.999;

class Flow : public NoiseSchedule {
 public:
  explicit Flow(double t_eps) : t_eps_(t_eps) {}

  Tensor Alpha(const Tensor& t) const override { return 1 - t; }
  Tensor Sigma(const Tensor& t) const override { return t * 1.0; }
  Tensor HalfLogSnr(const Tensor& t) const override { return torch::log1p(-t) - torch::log(t); }
  Tensor TimeOfHalfLogSnr(const Tensor& lambda) const override { return torch::sigmoid(-lambda); }

  double t_start() const override { return kFlowStart; }
  double t_end() const override { return t_eps_; }
  nlohmann::json ToJson() const override { return {{"kind", "flow"}, {"t_eps", t_eps_}}; }

 private:
  double t_eps_;
};

}  // namespace

SchedulePtr FlowSchedule(double t_eps) {
  GAS_CHECK(t_eps > 0 && t_eps < kFlowStart, Errc::kBadOption, "schedule flow: t_eps = ", t_eps,
            ", must be in (0, ", kFlowStart, ")");
  return std::make_shared<Flow>(t_eps);
}

}  // namespace gas
