#include "gas/models/preconditioned.h"

#include "gas/models/run_network.h"

namespace gas {

PrecondScales EdmScales(const Tensor& sigma, double sigma_data) {
  const Tensor total = sigma.square() + sigma_data * sigma_data;
  return {sigma_data * sigma_data / total, sigma * sigma_data * total.rsqrt(), total.rsqrt(),
          sigma.log() / 4};
}

Tensor PreconditionedPrediction(const Tensor& x, const NoiseLevel& at, const PrecondScales& c,
                                torch::Dtype dtype, const BatchFunction& raw) {
  // z = x / alpha is never formed: alpha is small at the start, and its scales are known in float64. All of
  // them go to the device together, and so do their gradients on the way back.
  const auto scales = ToLike(torch::stack({c.in / at.alpha, c.skip / at.alpha, c.out}), x).unbind();
  return scales[1] * x + scales[2] * RunNetwork(scales[0] * x, c.noise, dtype, raw);
}

}  // namespace gas
