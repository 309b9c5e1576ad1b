// Networks with known answers: exact denoisers of a Gaussian mixture and of a single Gaussian.
#ifndef GAS_TESTS_SUPPORT_GMM_H_
#define GAS_TESTS_SUPPORT_GMM_H_

#include <optional>

#include "gas/models/mixture/mixture.h"
#include "gas/schedule/denoiser.h"
#include "gas/schedule/noise_schedule.h"

namespace gas::testing {

// A mixture seen as a network of this type, at any noise level. With `guidance` the noise predictions for the
// labels and for no label are combined: uncond + guidance (cond - uncond), in one batch [uncond; cond]; at 1
// the condition alone.
class MixtureDenoiser : public Denoiser {
 public:
  MixtureDenoiser(const GaussianMixture& mixture, PredictionType type, std::optional<double> guidance = {})
      : mixture_(mixture), type_(type), guidance_(guidance) {}

  PredictionType prediction_type() const override { return type_; }
  Tensor Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const override;
  // Rows of the newest network batch.
  int64_t network_batch() const { return network_batch_; }

 private:
  Tensor Evaluate(const Tensor& x, const NoiseLevel& at, const Tensor& labels) const;

  GaussianMixture mixture_;
  PredictionType type_;
  std::optional<double> guidance_;
  mutable int64_t network_batch_ = 0;
};

// x0 ~ N(mean, std^2) in every dimension; its flow is known in closed form.
class GaussianDenoiser : public Denoiser {
 public:
  GaussianDenoiser(double mean, double std, PredictionType type = PredictionType::kData)
      : mean_(mean), variance_(std * std), type_(type) {}

  PredictionType prediction_type() const override { return type_; }
  Tensor Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const override;
  // The state at t_to of the flow through x at t_from: the deviation from alpha * mean scales with the
  // standard deviation of the state.
  Tensor Flow(const NoiseSchedule& schedule, const Tensor& x, double t_from, double t_to) const;

 private:
  double mean_, variance_;
  PredictionType type_;
};

// What a network of this type would output for the data prediction x0 of state x.
Tensor OutputFor(PredictionType type, const Tensor& x, const Tensor& x0, const NoiseLevel& at);

}  // namespace gas::testing

#endif  // GAS_TESTS_SUPPORT_GMM_H_
