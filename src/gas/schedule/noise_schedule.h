// Noise schedules: x_t = alpha(t) x_0 + sigma(t) eps, half-log-SNR lambda = log(alpha / sigma).
#ifndef GAS_SCHEDULE_NOISE_SCHEDULE_H_
#define GAS_SCHEDULE_NOISE_SCHEDULE_H_

#include <memory>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "gas/core/torch.h"

namespace gas {

// Where sampling ends unless another time is asked for.
inline constexpr double kDefaultTEps = 1e-3;

// All functions take float64 tensors of any shape, return the same shape, and are differentiable.
// Time decreases from t_start() (noise) to some t_eps > 0 (data); lambda increases on the way.
class NoiseSchedule {
 public:
  virtual ~NoiseSchedule() = default;
  virtual Tensor Alpha(const Tensor& t) const = 0;
  virtual Tensor Sigma(const Tensor& t) const = 0;
  virtual Tensor HalfLogSnr(const Tensor& t) const = 0;
  virtual Tensor TimeOfHalfLogSnr(const Tensor& lambda) const = 0;

  // Where sampling starts: 1, or sigma_max of a schedule whose time is sigma.
  virtual double t_start() const { return 1.0; }
  // The default end of sampling.
  virtual double t_end() const { return kDefaultTEps; }
  // The earliest time at which sampling may end, where the noise levels that the schedule is made of end; 0:
  // any time above 0. Alpha and Sigma go on below it, for the times that a trained solver shows its network.
  virtual double t_least() const { return 0; }
  // The timesteps T that the network was trained on, at times (k + 1) / T; nothing for continuous time.
  virtual std::optional<int64_t> timesteps() const { return {}; }
  // Standard deviation of the initial state at time t: 1 for variance-preserving schedules, sigma(t) for VE.
  virtual double PriorStd(double t) const { return 1.0; }
  // {"kind": ..., parameters}; ScheduleFromJson gives the same schedule back.
  virtual nlohmann::json ToJson() const = 0;

  double Alpha(double t) const { return Alpha(Scalar(t)).item<double>(); }
  double Sigma(double t) const { return Sigma(Scalar(t)).item<double>(); }
  double HalfLogSnr(double t) const { return HalfLogSnr(Scalar(t)).item<double>(); }
  double TimeOfHalfLogSnr(double lambda) const { return TimeOfHalfLogSnr(Scalar(lambda)).item<double>(); }
};

using SchedulePtr = std::shared_ptr<const NoiseSchedule>;

// Where sampling ends: at the time asked for, or else at the schedule's own end. Throws Error(kBadOption),
// which names the time and the bounds, for a time outside [t_least(), t_start()).
double EndOfSampling(const NoiseSchedule& schedule, std::optional<double> asked);

// Continuous variance-preserving schedule, log alpha(t) = -t^2 (beta_1 - beta_0) / 4 - t beta_0 / 2, t in (0,
// 1].
SchedulePtr VpLinearSchedule(double beta_0 = 0.1, double beta_1 = 20.0, double t_eps = kDefaultTEps);

// An EDM network with noise range [sigma_min, sigma_max] seen as VP (docs/math/schedules.md):
// VpLinearSchedule with the betas that follow from the range clipped to the network's. t_eps in (0, 1).
SchedulePtr EdmAsVpSchedule(double t_eps, double net_sigma_min, double net_sigma_max);

// Discrete schedule of a network trained on T steps: log alpha linear between the knots t_i = (i + 1) / T,
// extended linearly beyond them. alphas_cumprod [T] float64, decreasing, in (0, 1). Sampling ends at t_eps,
// by default at the first knot, and at no earlier time than the earlier of the two.
SchedulePtr DiscreteSchedule(const Tensor& alphas_cumprod, std::optional<double> t_eps = {});

// alphas_cumprod [steps] float64 for betas interpolated linearly in their square roots (LDM, Stable
// Diffusion).
Tensor ScaledLinearAlphasCumprod(double beta_start, double beta_end, int64_t steps = 1000);

// Variance exploding: alpha = 1, sigma = t, t from sigma_max down to sigma_min (EDM, Karras et al. 2022).
SchedulePtr VeSchedule(double sigma_min = 0.002, double sigma_max = 80.0);

// alpha(t) = cos(pi/2 (t + s)/(1 + s)) / cos(pi/2 s/(1 + s)) (Nichol and Dhariwal 2021), s = 0.008, t clipped
// so that lambda stays finite.
SchedulePtr CosineSchedule(double s = 0.008, double t_eps = kDefaultTEps);

// Rectified flow: alpha = 1 - t, sigma = t.
SchedulePtr FlowSchedule(double t_eps = kDefaultTEps);

// Throws Error(kBadFile) for an unknown kind or a missing or impossible parameter.
SchedulePtr ScheduleFromJson(const nlohmann::json& json);

}  // namespace gas

#endif  // GAS_SCHEDULE_NOISE_SCHEDULE_H_
