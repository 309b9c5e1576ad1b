// Continuous variance-preserving schedule with beta(t) linear in t (Song et al. 2021), and EDM networks seen
// as one.
#include "gas/core/error.h"
#include "gas/schedule/log_alpha.h"
#include "gas/schedule/noise_schedule.h"

namespace gas {
namespace {

class VpLinear : public NoiseSchedule {
 public:
  VpLinear(double beta_0, double beta_1, double t_eps) : beta_0_(beta_0), beta_1_(beta_1), t_eps_(t_eps) {}

  Tensor Alpha(const Tensor& t) const override { return torch::exp(LogAlpha(t)); }
  Tensor Sigma(const Tensor& t) const override { return SigmaOfLogAlpha(LogAlpha(t)); }
  Tensor HalfLogSnr(const Tensor& t) const override { return HalfLogSnrOfLogAlpha(LogAlpha(t)); }

  // The positive root of (beta_1 - beta_0)/4 t^2 + beta_0/2 t = -log alpha, with the root in the denominator:
  // nothing cancels at small t.
  Tensor TimeOfHalfLogSnr(const Tensor& lambda) const override {
    const Tensor q = -LogAlphaOfHalfLogSnr(lambda);
    return 2 * q / (beta_0_ / 2 + torch::sqrt(beta_0_ * beta_0_ / 4 + (beta_1_ - beta_0_) * q));
  }

  double t_end() const override { return t_eps_; }
  nlohmann::json ToJson() const override {
    return {{"kind", "vp-linear"}, {"beta_0", beta_0_}, {"beta_1", beta_1_}, {"t_eps", t_eps_}};
  }

 private:
  Tensor LogAlpha(const Tensor& t) const { return -t * (t * ((beta_1_ - beta_0_) / 4) + beta_0_ / 2); }

  double beta_0_, beta_1_, t_eps_;
};

// sigma / alpha at time t of the schedule with beta(t) = beta_min + beta_d t.
double NoiseRatio(double beta_d, double beta_min, double t) {
  return std::sqrt(std::expm1(0.5 * beta_d * t * t + beta_min * t));
}

}  // namespace

SchedulePtr VpLinearSchedule(double beta_0, double beta_1, double t_eps) {
  GAS_CHECK(std::isfinite(beta_0) && beta_0 > 0, Errc::kBadOption, "schedule vp-linear: beta_0 = ", beta_0,
            ", must be positive");
  GAS_CHECK(std::isfinite(beta_1) && beta_1 >= beta_0, Errc::kBadOption,
            "schedule vp-linear: beta_1 = ", beta_1, ", must be at least beta_0 = ", beta_0);
  GAS_CHECK(t_eps > 0 && t_eps < 1, Errc::kBadOption, "schedule vp-linear: t_eps = ", t_eps,
            ", must be in (0, 1)");
  return std::make_shared<VpLinear>(beta_0, beta_1, t_eps);
}

SchedulePtr EdmAsVpSchedule(double t_eps, double net_sigma_min, double net_sigma_max) {
  GAS_CHECK(t_eps > 0 && t_eps < 1, Errc::kBadOption, "schedule of an EDM network: t_eps = ", t_eps,
            ", must be in (0, 1)");
  const double sigma_min = std::max(NoiseRatio(19.9, 0.1, t_eps), net_sigma_min);
  const double sigma_max = std::min(NoiseRatio(19.9, 0.1, 1), net_sigma_max);
  GAS_CHECK(sigma_min < sigma_max, Errc::kBadOption,
            "schedule of an EDM network: no noise level is left in [", net_sigma_min, ", ", net_sigma_max,
            "], the range that the network supports");
  // The betas for which sigma / alpha is sigma_min at t_eps and sigma_max at 1 (docs/math/schedules.md (5)).
  const double log_min = std::log1p(sigma_min * sigma_min), log_max = std::log1p(sigma_max * sigma_max);
  // Earlier, the betas that lead to sigma_min would fall with time.
  const double least = log_min / log_max;
  GAS_CHECK(t_eps >= least, Errc::kBadOption, "schedule of an EDM network: t_eps = ", t_eps,
            ", must be at least ", least, ", which its least noise level ", sigma_min, " allows");
  const double beta_d = 2 * (log_min / t_eps - log_max) / (t_eps - 1);
  const double beta_min = log_max - beta_d / 2;
  return VpLinearSchedule(beta_min, beta_min + beta_d, t_eps);
}

}  // namespace gas
