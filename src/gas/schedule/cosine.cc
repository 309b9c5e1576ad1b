// Cosine schedule (Nichol and Dhariwal 2021) in continuous time.
#include <numbers>

#include "gas/core/error.h"
#include "gas/schedule/log_alpha.h"
#include "gas/schedule/noise_schedule.h"

namespace gas {
namespace {

// alpha reaches 0 at t = 1. Sampling starts where DPM-Solver starts it (lambda near -4.8); times beyond
// kLatest, which a trained time shift may ask for, are clipped, so that lambda stays finite.
constexpr double kCosineStart = 0.9946;
constexpr double kLatest = 0.9999;

// With the angle u(t) = pi/2 (t + s)/(1 + s): alpha = cos u / cos u(0).
class Cosine : public NoiseSchedule {
 public:
  Cosine(double s, double t_eps) : s_(s), t_eps_(t_eps), u_0_(std::numbers::pi / 2 * s / (1 + s)) {}

  Tensor Alpha(const Tensor& t) const override { return torch::cos(u_0_ + Turn(t)) / std::cos(u_0_); }

  // 1 - cos^2 u / cos^2 u0 = sin(u - u0) sin(u + u0) / cos^2 u0, which does not cancel at small t.
  Tensor Sigma(const Tensor& t) const override {
    const Tensor turn = Turn(t);
    return torch::sqrt(torch::sin(turn) * torch::sin(turn + 2 * u_0_)) / std::cos(u_0_);
  }

  Tensor HalfLogSnr(const Tensor& t) const override { return torch::log(Alpha(t) / Sigma(t)); }

  // cos u = alpha cos u0 and sin^2 u = sin^2 u0 + sigma^2 cos^2 u0; their quotient is accurate at both ends.
  Tensor TimeOfHalfLogSnr(const Tensor& lambda) const override {
    const double cos_0 = std::cos(u_0_), sin_0 = std::sin(u_0_);
    const Tensor alpha = torch::exp(LogAlphaOfHalfLogSnr(lambda));
    const Tensor variance = torch::sigmoid(-2 * lambda);
    const Tensor u = torch::atan2(torch::sqrt(sin_0 * sin_0 + cos_0 * cos_0 * variance), cos_0 * alpha);
    return (u - u_0_) * ((1 + s_) * 2 / std::numbers::pi);
  }

  double t_start() const override { return kCosineStart; }
  double t_end() const override { return t_eps_; }
  nlohmann::json ToJson() const override { return {{"kind", "cosine"}, {"s", s_}, {"t_eps", t_eps_}}; }

 private:
  // u(t) - u(0)
  Tensor Turn(const Tensor& t) const { return t.clamp_max(kLatest) * (std::numbers::pi / 2 / (1 + s_)); }

  double s_, t_eps_, u_0_;
};

}  // namespace

SchedulePtr CosineSchedule(double s, double t_eps) {
  GAS_CHECK(s >= 0 && s < 1, Errc::kBadOption, "schedule cosine: s = ", s, ", must be in [0, 1)");
  GAS_CHECK(t_eps > 0 && t_eps < kCosineStart, Errc::kBadOption, "schedule cosine: t_eps = ", t_eps,
            ", must be in (0, ", kCosineStart, ")");
  return std::make_shared<Cosine>(s, t_eps);
}

}  // namespace gas
