// The consistency models' EDM networks as the rest of the program sees networks.
#ifndef GAS_MODELS_ADM_ADM_DENOISER_H_
#define GAS_MODELS_ADM_ADM_DENOISER_H_

#include <memory>

#include "gas/models/openai_unet/unet.h"
#include "gas/models/preconditioned.h"

namespace gas::adm {

inline constexpr double kSigmaData = 0.5;

// EDM's scales with the time that these networks are told, 1000 ln(sigma) / 4. The reference (KarrasDenoiser
// of openai/consistency_models) adds 1e-44 to sigma, which changes no digit of any sigma that is used.
PrecondScales AdmEdmScales(const Tensor& sigma);

// D(x / alpha; sigma / alpha), which predicts the data. Condition::labels are its classes.
class AdmEdmDenoiser : public Denoiser {
 public:
  // Convolutions and matrix products are computed in `dtype`.
  explicit AdmEdmDenoiser(std::shared_ptr<openai_unet::UNet> network, torch::Dtype dtype = torch::kFloat32)
      : network_(std::move(network)), dtype_(dtype) {}
  PredictionType prediction_type() const override { return PredictionType::kData; }
  Tensor Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const override;

 private:
  std::shared_ptr<openai_unet::UNet> network_;
  torch::Dtype dtype_;
};

}  // namespace gas::adm

#endif  // GAS_MODELS_ADM_ADM_DENOISER_H_
