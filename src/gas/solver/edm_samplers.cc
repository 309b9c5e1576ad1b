#include "gas/solver/edm_samplers.h"

#include <numbers>

#include "gas/core/error.h"
#include "gas/solver/table_builder.h"

namespace gas {
namespace {

// dx/dt = state x + data m on the flow of a schedule (docs/math/edm_heun.md (2)).
struct Slope {
  double state, data;
};

Slope SlopeAt(const NoiseSchedule& schedule, const SchedulePoint& p) {
  const torch::AutoGradMode with_gradient(true);
  const Tensor t = Scalar(p.t).requires_grad_();
  const auto derivative = [&](const Tensor& value) {
    return value.requires_grad() ? torch::autograd::grad({value}, {t})[0].item<double>() : 0.0;
  };
  const double alpha_dot = derivative(schedule.Alpha(t)), sigma_dot = derivative(schedule.Sigma(t));
  return {sigma_dot / p.sigma, alpha_dot - p.alpha * sigma_dot / p.sigma};
}

LinearForm Derivative(const NoiseSchedule& schedule, const Evaluation& e) {
  const Slope slope = SlopeAt(schedule, e.at);
  return slope.state * e.x + slope.data * e.m;
}

// Two-stage Runge-Kutta in t over `times`, then an Euler step to t = 0; `alpha` places the second stage.
StepTable RungeKuttaTable(const NoiseSchedule& schedule, const std::vector<double>& times, bool heun,
                          double alpha) {
  TableBuilder builder(schedule);
  Evaluation start = builder.Start(times[0]);
  for (size_t k = 0;; ++k) {
    const bool last = k + 1 == times.size();
    const double t = times[k], t_next = last ? 0.0 : times[k + 1], h = t_next - t;
    const LinearForm d = Derivative(schedule, start);
    if (last) return builder.Finish(start.x + h * d, 0.0, heun ? "edm-heun" : "edm-euler");
    LinearForm next = start.x + h * d;
    if (heun) {
      const Evaluation trial =
          builder.Evaluate(start.x + (alpha * h) * d, alpha == 1 ? t_next : t + alpha * h);
      const double share = 1 / (2 * alpha);
      next = start.x + (h * (1 - share)) * d + (h * share) * Derivative(schedule, trial);
    }
    start = builder.Evaluate(next, t_next);
  }
}

// The constants of VP's schedule, and where iDDPM's levels come from (Karras et al. 2022, Table 1).
constexpr double kVpBetaD = 19.9, kVpBetaMin = 0.1;
constexpr int64_t kIddpmSteps = 1000;
constexpr double kIddpmC1 = 0.001, kIddpmC2 = 0.008;

double VpSigma(double beta_d, double beta_min, double t) {
  return std::sqrt(std::expm1(0.5 * beta_d * t * t + beta_min * t));
}

// The betas with which VpSigma is sigma_min at epsilon_s and sigma_max at 1.
std::pair<double, double> VpBetas(double epsilon_s, double sigma_min, double sigma_max) {
  const double log_min = std::log1p(sigma_min * sigma_min), log_max = std::log1p(sigma_max * sigma_max);
  const double beta_d = 2 * (log_min / epsilon_s - log_max) / (epsilon_s - 1);
  return {beta_d, log_max - beta_d / 2};
}

// The part of iDDPM's 1000 levels that lies in the range, descending.
std::vector<double> IddpmLevels(double sigma_min, double sigma_max) {
  const auto alpha_bar = [](int64_t j) {
    const double s = std::sin(std::numbers::pi / 2 * static_cast<double>(j) / kIddpmSteps / (kIddpmC2 + 1));
    return s * s;
  };
  std::vector<double> levels;
  double u = 0;
  for (int64_t j = kIddpmSteps; j >= 1; --j) {
    u = std::sqrt((u * u + 1) / std::max(alpha_bar(j - 1) / alpha_bar(j), kIddpmC1) - 1);
    if (u >= sigma_min && u <= sigma_max) levels.insert(levels.begin(), u);
  }
  return levels;
}

std::vector<double> SigmaSteps(const EdmAblationOptions& o, double sigma_min, double sigma_max) {
  const double last = static_cast<double>(o.steps - 1);
  const auto [beta_d, beta_min] = VpBetas(o.epsilon_s, sigma_min, sigma_max);
  std::vector<double> levels;
  if (o.discretization == EdmDiscretization::kIddpm) {
    levels = IddpmLevels(sigma_min, sigma_max);
    GAS_CHECK(levels.size() >= static_cast<size_t>(o.steps), Errc::kBadOption, "EDM sampler: ", o.steps,
              " steps, must be at most ", levels.size(), ", the iDDPM levels between ", sigma_min, " and ",
              sigma_max);
  }
  std::vector<double> sigmas;
  for (int64_t i = 0; i < o.steps; ++i) {
    const double share = static_cast<double>(i) / last;
    switch (o.discretization) {
      case EdmDiscretization::kVp:
        sigmas.push_back(VpSigma(beta_d, beta_min, 1 + share * (o.epsilon_s - 1)));
        break;
      case EdmDiscretization::kVe:
        sigmas.push_back(sigma_max * std::pow(sigma_min / sigma_max, share));
        break;
      case EdmDiscretization::kIddpm:
        sigmas.push_back(levels[static_cast<size_t>(
            std::nearbyint(static_cast<double>(levels.size() - 1) / last * static_cast<double>(i)))]);
        break;
      case EdmDiscretization::kEdm: {
        const double from = std::pow(sigma_max, 1 / o.rho), to = std::pow(sigma_min, 1 / o.rho);
        sigmas.push_back(std::pow(from + share * (to - from), o.rho));
        break;
      }
    }
  }
  return sigmas;
}

// The paper's range of each discretization, unless given, within the network's.
std::pair<double, double> SigmaRange(const EdmAblationOptions& o) {
  double low = 0.002, high = 80;
  if (o.discretization == EdmDiscretization::kVp) {
    low = VpSigma(kVpBetaD, kVpBetaMin, o.epsilon_s);
    high = VpSigma(kVpBetaD, kVpBetaMin, 1);
  } else if (o.discretization == EdmDiscretization::kVe) {
    low = 0.02, high = 100;
  } else if (o.discretization == EdmDiscretization::kIddpm) {
    high = 81;
  }
  low = std::max(o.sigma_min.value_or(low), o.network.sigma_min);
  high = std::min(o.sigma_max.value_or(high), o.network.sigma_max);
  GAS_CHECK(low > 0 && low < high, Errc::kBadOption, "EDM sampler: noise range [", low, ", ", high,
            "] after clipping to the network's, must be positive and ascending");
  return {low, high};
}

}  // namespace

EdmSampler EdmAblationSampler(const EdmAblationOptions& o) {
  GAS_CHECK(o.steps >= 2 && o.steps <= 10'000, Errc::kBadOption, "EDM sampler: ", o.steps,
            " steps, must be in [2, 10000]");
  GAS_CHECK(o.rho > 0, Errc::kBadOption, "EDM sampler: rho = ", o.rho, ", must be positive");
  GAS_CHECK(o.alpha > 0 && o.alpha <= 1, Errc::kBadOption, "EDM sampler: alpha = ", o.alpha,
            ", must be in (0, 1]");
  GAS_CHECK(o.epsilon_s > 0 && o.epsilon_s < 1, Errc::kBadOption, "EDM sampler: epsilon_s = ", o.epsilon_s,
            ", must be in (0, 1)");
  const auto [sigma_min, sigma_max] = SigmaRange(o);
  const auto [beta_d, beta_min] = VpBetas(o.epsilon_s, sigma_min, sigma_max);
  const SchedulePtr schedule = ScaledSigmaSchedule({.curve = o.schedule,
                                                    .vp_scaling = o.vp_scaling,
                                                    .sigma_min = sigma_min,
                                                    .sigma_max = sigma_max,
                                                    .beta_d = beta_d,
                                                    .beta_min = beta_min});
  std::vector<double> times;
  for (const double sigma : SigmaSteps(o, sigma_min, sigma_max)) {
    times.push_back(schedule->TimeOfHalfLogSnr(-std::log(sigma)));
  }
  return {schedule, RungeKuttaTable(*schedule, times, o.heun, o.alpha)};
}

EdmSampler EdmHeunSampler(const EdmHeunOptions& options) {
  return EdmAblationSampler({.steps = options.steps,
                             .rho = options.rho,
                             .sigma_min = options.sigma_min,
                             .sigma_max = options.sigma_max,
                             .network = options.network});
}

}  // namespace gas
