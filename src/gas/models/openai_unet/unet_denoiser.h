// OpenAI's U-Net as the rest of the program sees networks, trained on the steps of a discrete schedule.
#ifndef GAS_MODELS_OPENAI_UNET_UNET_DENOISER_H_
#define GAS_MODELS_OPENAI_UNET_UNET_DENOISER_H_

#include <functional>
#include <memory>
#include <vector>

#include "gas/models/encoder_features.h"
#include "gas/models/openai_unet/unet.h"
#include "gas/models/training_times.h"
#include "gas/schedule/denoiser.h"

namespace gas::openai_unet {

// Of a condition what the network knows: labels if it has classes, "text" if it has a context, "vector" if it
// has one.
Told ToldOf(const UNetConfig& config, const Tensor& timesteps, const Condition& condition);

// Of the network's channels those beyond the state's, learned variances, are not used.
class UNetDenoiser : public Denoiser {
 public:
  // Convolutions and matrix products are computed in `dtype`.
  UNetDenoiser(std::shared_ptr<UNet> network, TrainingTimes times, PredictionType type,
               torch::Dtype dtype = torch::kFloat32)
      : network_(std::move(network)), times_(times), type_(type), dtype_(dtype) {}
  PredictionType prediction_type() const override { return type_; }
  Tensor Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const override;

 private:
  std::shared_ptr<UNet> network_;
  TrainingTimes times_;
  PredictionType type_;
  torch::Dtype dtype_;
};

class UNetEncoder : public EncoderFeatures {
 public:
  // `input_at`: for the noise level sigma beside a signal of unit scale. Freezes the network.
  UNetEncoder(std::shared_ptr<UNet> network, std::vector<int64_t> shape, double data_std,
              std::function<EncoderInput(double sigma)> input_at);
  std::vector<Tensor> Maps(const Tensor& states, double sigma, const Condition& condition) const override;
  std::vector<int64_t> shape() const override { return shape_; }
  double data_std() const override { return data_std_; }
  torch::TensorOptions options() const override { return network_->parameters().front().options(); }

 private:
  std::shared_ptr<UNet> network_;
  std::vector<int64_t> shape_;
  double data_std_;
  std::function<EncoderInput(double sigma)> input_at_;
};

}  // namespace gas::openai_unet

#endif  // GAS_MODELS_OPENAI_UNET_UNET_DENOISER_H_
