// Diffusion transformers as the rest of the program sees networks.
#ifndef GAS_MODELS_DIT_DIT_DENOISER_H_
#define GAS_MODELS_DIT_DIT_DENOISER_H_

#include <memory>

#include "gas/models/dit/dit.h"
#include "gas/models/encoder_features.h"
#include "gas/schedule/denoiser.h"
#include "gas/schedule/noise_schedule.h"

namespace gas::dit {

// The schedule that a kind was trained on: linear betas of 1000 steps, or the straight path.
SchedulePtr ScheduleOf(Kind kind, std::optional<double> t_eps);

// Learned variances are not used. A SiT's own time runs from noise, 0, to data, 1, and what it predicts is
// data minus noise: the negative of kFlow.
class DitDenoiser : public Denoiser {
 public:
  // Matrix products are computed in `dtype`.
  DitDenoiser(std::shared_ptr<Transformer> network, Kind kind, torch::Dtype dtype = torch::kFloat32)
      : network_(std::move(network)), kind_(kind), dtype_(dtype) {}
  PredictionType prediction_type() const override;
  Tensor Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const override;

 private:
  std::shared_ptr<Transformer> network_;
  Kind kind_;
  torch::Dtype dtype_;
};

// Maps of tokens (Transformer::InnerMaps). Freezes the network.
class DitEncoder : public EncoderFeatures {
 public:
  DitEncoder(std::shared_ptr<Transformer> network, Kind kind, SchedulePtr schedule);
  std::vector<Tensor> Maps(const Tensor& states, double sigma, const Condition& condition) const override;
  std::vector<int64_t> shape() const override;
  double data_std() const override;
  torch::TensorOptions options() const override { return network_->parameters().front().options(); }

 private:
  std::shared_ptr<Transformer> network_;
  Kind kind_;
  SchedulePtr schedule_;
};

}  // namespace gas::dit

#endif  // GAS_MODELS_DIT_DIT_DENOISER_H_
