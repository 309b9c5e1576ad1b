#include "gas/eval/approximation.h"

#include <cmath>
#include <limits>

#include "gas/core/seeds.h"
#include "gas/solver/euler.h"
#include "gas/teacher/sample_seeds.h"

namespace gas {
namespace {

// A model's network as one of another schedule, which predicts the data. States of both schedules that have
// the same sigma / alpha are multiples of each other.
class Lent : public Denoiser {
 public:
  explicit Lent(const Model& model) : model_(model) {}
  PredictionType prediction_type() const override { return PredictionType::kData; }

  Tensor Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const override {
    const double alpha = at.alpha.item<double>(), sigma = at.sigma.item<double>();
    // Trained times may lie before pure noise.
    const double noise = -std::numeric_limits<double>::infinity();
    const NoiseLevel own = OwnLevel(alpha > 0 ? std::log(alpha / sigma) : noise);
    const double own_alpha = own.alpha.item<double>(), own_sigma = own.sigma.item<double>();
    const Tensor state = x * (std::hypot(own_alpha, own_sigma) / std::hypot(alpha, sigma));
    const Tensor output = model_.denoiser->Predict(state, own, condition);
    const DataPredictionWeights w =
        DataPredictionOf(model_.denoiser->prediction_type(), own, own.alpha, own.sigma);
    return w.state.item<double>() * state + w.network.item<double>() * output;
  }

 private:
  // `half_log_snr`: log(alpha / sigma), -infinity for pure noise.
  NoiseLevel OwnLevel(double half_log_snr) const {
    const NoiseSchedule& schedule = *model_.schedule;
    const double first = schedule.HalfLogSnr(schedule.t_start()), last = schedule.HalfLogSnr(model_.t_eps);
    const double t = half_log_snr <= first  ? schedule.t_start()
                     : half_log_snr >= last ? model_.t_eps
                                            : schedule.TimeOfHalfLogSnr(half_log_snr);
    return {Scalar(t), schedule.Alpha(Scalar(t)), schedule.Sigma(Scalar(t))};
  }

  const Model& model_;
};

}  // namespace

std::optional<Approximation> MeasureApproximation(const StepTable& table, SchedulePtr schedule,
                                                  const Model& model, int64_t samples) {
  if (table.basis && table.basis->shape != model.shape) return std::nullopt;
  Model lent = model;
  lent.denoiser = std::make_shared<Lent>(model);
  const auto sampled = [&](const StepTable& by) {
    return CollectSamples(lent, by, RequestsFor(SeedRange(0, samples)), {}).images.to(torch::kFloat64);
  };
  const Tensor whole = sampled(table), levels = sampled(EulerTable(*schedule, table.t));
  return Approximation{.difference = (levels - whole).square().mean().sqrt().item<double>(),
                       .spread = whole.std(/*unbiased=*/false).item<double>()};
}

}  // namespace gas
