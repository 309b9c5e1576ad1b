#include "gas/models/adm/adm_denoiser.h"

#include "gas/models/openai_unet/unet_denoiser.h"

namespace gas::adm {

PrecondScales AdmEdmScales(const Tensor& sigma) {
  PrecondScales scales = EdmScales(sigma, kSigmaData);
  scales.noise = 1000 * scales.noise;
  return scales;
}

Tensor AdmEdmDenoiser::Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const {
  return PreconditionedPrediction(
      x, at, AdmEdmScales(at.sigma / at.alpha), dtype_,
      [&](const Tensor& images, const Tensor& time, int64_t begin, int64_t end) {
        const Tensor times = ToLike(time, images).expand({end - begin});
        return network_->forward(images,
                                 openai_unet::ToldOf(network_->config(), times, condition.Rows(begin, end)));
      });
}

}  // namespace gas::adm
