#include "gas/models/edm/edm_denoiser.h"

#include "gas/models/batch_parallel.h"

namespace gas::edm {

Tensor EdmDenoiser::Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const {
  const PrecondScales c = network_->Scales(at.sigma / at.alpha);
  const Tensor labels = OneHotLabels(condition.labels, network_->config().network.label_dim);
  // z = x / alpha is never formed: alpha is small at the start, and its scales are known in float64. All of
  // them go to the device together, and so do their gradients on the way back.
  const auto scales = ToLike(torch::stack({c.in / at.alpha, c.skip / at.alpha, c.out}), x).unbind();
  const Tensor scaled = (scales[0] * x).contiguous(torch::MemoryFormat::ChannelsLast);
  const Tensor raw = ParallelOverBatch(
      scaled, c.noise, [&](const Tensor& images, const Tensor& noise, int64_t begin, int64_t end) {
        const AutocastGuard autocast(x.device().type(), bfloat16_);
        return network_->Raw(images, noise, labels.defined() ? labels.slice(0, begin, end) : labels);
      });
  return scales[1] * x + scales[2] * raw.to(x.scalar_type());
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
