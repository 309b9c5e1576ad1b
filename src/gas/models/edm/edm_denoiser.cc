#include "gas/models/edm/edm_denoiser.h"

#include "gas/core/rows.h"

namespace gas::edm {

Tensor EdmDenoiser::Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const {
  const PrecondScales c = network_->Scales(at.sigma / at.alpha);
  const Tensor labels = OneHotLabels(condition.labels, network_->config().network.label_dim);
  return PreconditionedPrediction(x, at, c, dtype_,
                                  [&](const Tensor& images, const Tensor& noise, int64_t begin, int64_t end) {
                                    return network_->Raw(images, noise, RowsIfAny(labels, begin, end));
                                  });
}

EdmEncoder::EdmEncoder(std::shared_ptr<Precond> network) : network_(std::move(network)) {
  network_->eval();
  for (Tensor& parameter : network_->parameters()) parameter.requires_grad_(false);
}

std::vector<Tensor> EdmEncoder::Maps(const Tensor& states, double sigma, const Condition& condition) const {
  const PrecondConfig& config = network_->config();
  const Tensor level =
      torch::full({}, std::max(sigma, config.sigma_min), states.options().dtype(torch::kFloat64));
  return network_->EncoderFeatures(states.contiguous(torch::MemoryFormat::ChannelsLast), level,
                                   OneHotLabels(condition.labels, config.network.label_dim));
}

std::vector<int64_t> EdmEncoder::shape() const {
  const UNetConfig& c = network_->config().network;
  return {c.in_channels, c.img_resolution, c.img_resolution};
}

}  // namespace gas::edm
