// An EDM network as the rest of the program sees networks.
#ifndef GAS_MODELS_EDM_EDM_DENOISER_H_
#define GAS_MODELS_EDM_EDM_DENOISER_H_

#include <memory>

#include "gas/models/edm/precond.h"
#include "gas/models/encoder_features.h"
#include "gas/schedule/denoiser.h"

namespace gas::edm {

// D(x / alpha; sigma / alpha), which predicts the data. Condition::labels are its classes.
class EdmDenoiser : public Denoiser {
 public:
  // Convolutions and matrix products are computed in `dtype`.
  explicit EdmDenoiser(std::shared_ptr<Precond> network, torch::Dtype dtype = torch::kFloat32)
      : network_(std::move(network)), dtype_(dtype) {}
  PredictionType prediction_type() const override { return PredictionType::kData; }
  Tensor Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const override;

 private:
  std::shared_ptr<Precond> network_;
  torch::Dtype dtype_;
};

class EdmEncoder : public EncoderFeatures {
 public:
  // Freezes the network: evaluation mode, no parameter asks for a gradient.
  explicit EdmEncoder(std::shared_ptr<Precond> network);
  std::vector<Tensor> Maps(const Tensor& states, double sigma, const Condition& condition) const override;
  std::vector<int64_t> shape() const override;
  double data_std() const override { return network_->config().sigma_data; }
  torch::TensorOptions options() const override { return network_->parameters().front().options(); }

 private:
  std::shared_ptr<Precond> network_;
};

}  // namespace gas::edm

#endif  // GAS_MODELS_EDM_EDM_DENOISER_H_
