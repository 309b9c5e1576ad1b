#include "gas/schedule/scaled_sigma.h"

#include "gas/core/error.h"
#include "gas/schedule/log_alpha.h"

namespace gas {
namespace {

class ScaledSigma : public NoiseSchedule {
 public:
  explicit ScaledSigma(const ScaledSigmaOptions& options) : o_(options) {}

  Tensor Alpha(const Tensor& t) const override {
    return o_.vp_scaling ? torch::exp(-0.5 * LogOnePlusVariance(t)) : torch::ones_like(t);
  }
  Tensor Sigma(const Tensor& t) const override {
    return o_.vp_scaling ? SigmaOfLogAlpha(-0.5 * LogOnePlusVariance(t)) : torch::sqrt(Variance(t));
  }
  Tensor HalfLogSnr(const Tensor& t) const override { return -0.5 * torch::log(Variance(t)); }

  Tensor TimeOfHalfLogSnr(const Tensor& lambda) const override {
    if (o_.curve == SigmaCurve::kLinear) return torch::exp(-lambda);
    if (o_.curve == SigmaCurve::kVe) return torch::exp(-2 * lambda);
    const Tensor w = LogOnePlusExp(-2 * lambda);  // = beta_d t^2 / 2 + beta_min t
    const Tensor root = torch::sqrt(o_.beta_min * o_.beta_min + 2 * o_.beta_d * w);
    if (o_.beta_min < 0)
      return (root - o_.beta_min) / o_.beta_d;  // of the two forms, the one that does not cancel
    return 2 * w / (root + o_.beta_min);
  }

  double t_start() const override { return NoiseSchedule::TimeOfHalfLogSnr(-std::log(o_.sigma_max)); }
  double t_end() const override { return NoiseSchedule::TimeOfHalfLogSnr(-std::log(o_.sigma_min)); }
  double t_least() const override { return t_end(); }
  double PriorStd(double t) const override { return NoiseSchedule::Sigma(t); }

  nlohmann::json ToJson() const override {
    static constexpr std::array<const char*, 3> kCurves = {"vp", "ve", "linear"};
    nlohmann::json json = {{"kind", "scaled-sigma"},
                           {"curve", kCurves[static_cast<size_t>(o_.curve)]},
                           {"vp_scaling", o_.vp_scaling},
                           {"sigma_min", o_.sigma_min},
                           {"sigma_max", o_.sigma_max}};
    if (o_.curve == SigmaCurve::kVp) json.update({{"beta_d", o_.beta_d}, {"beta_min", o_.beta_min}});
    return json;
  }

 private:
  Tensor VpExponent(const Tensor& t) const { return t * (t * (o_.beta_d / 2) + o_.beta_min); }

  // sigma(t)^2, before scaling
  Tensor Variance(const Tensor& t) const {
    if (o_.curve == SigmaCurve::kLinear) return t * t;
    return o_.curve == SigmaCurve::kVe ? t * 1.0 : torch::expm1(VpExponent(t));
  }

  Tensor LogOnePlusVariance(const Tensor& t) const {
    return o_.curve == SigmaCurve::kVp ? VpExponent(t) : torch::log1p(Variance(t));
  }

  ScaledSigmaOptions o_;
};

}  // namespace

SchedulePtr ScaledSigmaSchedule(const ScaledSigmaOptions& options) {
  GAS_CHECK(
      options.sigma_min > 0 && options.sigma_max > options.sigma_min && std::isfinite(options.sigma_max),
      Errc::kBadOption, "schedule scaled-sigma: noise range [", options.sigma_min, ", ", options.sigma_max,
      "], must be positive, finite and ascending");
  // A slightly negative beta_min follows from some noise ranges; sigma still grows with t wherever it is
  // above 0.
  GAS_CHECK(options.curve != SigmaCurve::kVp ||
                (options.beta_d > 0 && std::isfinite(options.beta_d + options.beta_min)),
            Errc::kBadOption, "schedule scaled-sigma: beta_d = ", options.beta_d,
            ", beta_min = ", options.beta_min, ", must be finite and beta_d above 0");
  return std::make_shared<ScaledSigma>(options);
}

}  // namespace gas
