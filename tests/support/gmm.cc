#include "support/gmm.h"

namespace gas::testing {

Tensor OutputFor(PredictionType type, const Tensor& x, const Tensor& x0, const NoiseLevel& at) {
  const auto scalar = [&](const Tensor& value) { return value.to(x.scalar_type()); };
  const Tensor alpha = scalar(at.alpha), sigma = scalar(at.sigma);
  if (type == PredictionType::kData) return x0;
  const Tensor noise = (x - alpha * x0) / sigma;
  if (type == PredictionType::kNoise) return noise;
  return type == PredictionType::kVelocity ? alpha * noise - sigma * x0 : noise - x0;
}

Tensor MixtureDenoiser::Evaluate(const Tensor& x, const NoiseLevel& at, const Tensor& labels) const {
  network_batch_ = x.size(0);
  const Tensor x0 = mixture_.Denoise(x / at.alpha.to(x.scalar_type()), at.sigma / at.alpha, labels);
  return OutputFor(type_, x, x0, at);
}

Tensor MixtureDenoiser::Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const {
  if (!guidance_ || !condition.labels.defined() || *guidance_ == 1) return Evaluate(x, at, condition.labels);
  const Tensor labels = torch::cat({torch::full_like(condition.labels, -1), condition.labels});
  const std::vector<Tensor> halves = Evaluate(torch::cat({x, x}), at, labels).chunk(2);
  return halves[0] + *guidance_ * (halves[1] - halves[0]);
}

Tensor GaussianDenoiser::Predict(const Tensor& x, const NoiseLevel& at, const Condition&) const {
  const Tensor total = at.alpha * at.alpha * variance_ + at.sigma * at.sigma;
  const Tensor x0 = mean_ + at.alpha * variance_ / total * (x - at.alpha * mean_);
  return OutputFor(type_, x, x0, at);
}

Tensor GaussianDenoiser::Flow(const NoiseSchedule& schedule, const Tensor& x, double t_from,
                              double t_to) const {
  const auto std_at = [&](double t) {
    return std::hypot(schedule.Alpha(t) * std::sqrt(variance_), schedule.Sigma(t));
  };
  return schedule.Alpha(t_to) * mean_ +
         (x - schedule.Alpha(t_from) * mean_) * (std_at(t_to) / std_at(t_from));
}

}  // namespace gas::testing
