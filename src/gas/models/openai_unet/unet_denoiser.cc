#include "gas/models/openai_unet/unet_denoiser.h"

#include "gas/models/run_network.h"

namespace gas::openai_unet {

Told ToldOf(const UNetConfig& config, const Tensor& timesteps, const Condition& condition) {
  Told told{.timesteps = timesteps};
  if (config.num_classes > 0) told.labels = condition.labels;
  const auto tensor = [&](const char* name) {
    const auto found = condition.tensors.find(name);
    return found == condition.tensors.end() ? Tensor() : found->second;
  };
  if (config.use_spatial_transformer && config.context_dim > 0) told.context = tensor("text");
  if (config.vector_dim > 0) told.vector = tensor("vector");
  return told;
}

Tensor UNetDenoiser::Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const {
  return RunNetwork(x, ToLike(times_.ToldAt(at.t), x), dtype_,
                    [&](const Tensor& part, const Tensor& time, int64_t begin, int64_t end) {
                      const Told told =
                          ToldOf(network_->config(), time.expand({end - begin}), condition.Rows(begin, end));
                      return network_->forward(part, told).slice(1, 0, x.size(1));
                    });
}

UNetEncoder::UNetEncoder(std::shared_ptr<UNet> network, std::vector<int64_t> shape, double data_std,
                         std::function<EncoderInput(double sigma)> input_at)
    : network_(std::move(network)),
      shape_(std::move(shape)),
      data_std_(data_std),
      input_at_(std::move(input_at)) {
  network_->eval();
  for (Tensor& parameter : network_->parameters()) parameter.requires_grad_(false);
}

std::vector<Tensor> UNetEncoder::Maps(const Tensor& states, double sigma, const Condition& condition) const {
  const EncoderInput input = input_at_(sigma);
  const Tensor x = (input.scale * states).contiguous(torch::MemoryFormat::ChannelsLast);
  const Tensor times = torch::full({states.size(0)}, input.timestep, states.options());
  return network_->EncoderFeatures(x, ToldOf(network_->config(), times, condition));
}

}  // namespace gas::openai_unet
