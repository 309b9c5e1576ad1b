// Variance exploding with time equal to sigma, as EDM samples (Karras et al. 2022).
#include "gas/core/error.h"
#include "gas/schedule/noise_schedule.h"

namespace gas {
namespace {

class Ve : public NoiseSchedule {
 public:
  Ve(double sigma_min, double sigma_max) : sigma_min_(sigma_min), sigma_max_(sigma_max) {}

  Tensor Alpha(const Tensor& t) const override { return torch::ones_like(t); }
  // A new tensor, so that nobody changes the caller's time through the result.
  Tensor Sigma(const Tensor& t) const override { return t * 1.0; }
  Tensor HalfLogSnr(const Tensor& t) const override { return -torch::log(t); }
  Tensor TimeOfHalfLogSnr(const Tensor& lambda) const override { return torch::exp(-lambda); }

  double t_start() const override { return sigma_max_; }
  double t_end() const override { return sigma_min_; }
  double t_least() const override { return sigma_min_; }
  double PriorStd(double t) const override { return t; }
  nlohmann::json ToJson() const override {
    return {{"kind", "ve"}, {"sigma_min", sigma_min_}, {"sigma_max", sigma_max_}};
  }

 private:
  double sigma_min_, sigma_max_;
};

}  // namespace

SchedulePtr VeSchedule(double sigma_min, double sigma_max) {
  GAS_CHECK(sigma_min > 0 && sigma_max > sigma_min && std::isfinite(sigma_max), Errc::kBadOption,
            "schedule ve: noise range [", sigma_min, ", ", sigma_max,
            "], must be positive, finite and ascending");
  return std::make_shared<Ve>(sigma_min, sigma_max);
}

}  // namespace gas
