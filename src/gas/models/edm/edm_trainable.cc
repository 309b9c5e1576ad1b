#include "gas/models/edm/edm_trainable.h"

#include "gas/models/edm/edm_family.h"
#include "gas/nn/state_dict.h"
#include "gas/nn/weights.h"

namespace gas::edm {
namespace {

// A network that draws no random numbers of its own, so that threads cannot change their order.
PrecondConfig WithoutDropout(PrecondConfig config) {
  config.network.label_dropout = 0;
  config.network.dropout = 0;
  return config;
}

}  // namespace

TrainableEdm::TrainableEdm(const PrecondConfig& config)
    : config_(config),
      shape_{config.network.in_channels, config.network.img_resolution, config.network.label_dim,
             config.sigma_data},
      network_(std::make_shared<Precond>(WithoutDropout(config))) {
  UseChannelsLast(*network_);
}

Tensor TrainableEdm::Denoise(const Tensor& noisy, const Tensor& sigma, const Tensor& labels) {
  return network_->Denoise(noisy, sigma, OneHotLabels(labels, shape_.classes));
}

void TrainableEdm::Write(const std::filesystem::path& path, const std::map<std::string, Tensor>& weights,
                         const std::map<std::string, std::string>& metadata) const {
  WriteEdmModel(path, config_, weights, metadata);
}

std::unique_ptr<TrainableDenoiser> NewTrainableEdm(const DenoiserShape& shape, const DenoiserSizes& sizes) {
  PrecondConfig config;
  config.sigma_data = shape.data_std;
  UNetConfig& network = config.network;
  network.img_resolution = shape.resolution;
  network.in_channels = network.out_channels = shape.channels;
  network.label_dim = shape.classes;
  network.model_channels = sizes.width;
  network.channel_mult = sizes.channel_mult;
  network.num_blocks = sizes.blocks;
  network.attn_resolutions = sizes.attn_resolutions;
  if (network.attn_resolutions.empty()) network.attn_resolutions = {shape.resolution / 4};
  network.dropout = 0;
  network.label_dropout = sizes.label_dropout;
  return std::make_unique<TrainableEdm>(config);
}

std::unique_ptr<TrainableDenoiser> TrainableEdmFrom(const ModelFiles& files) {
  auto denoiser = std::make_unique<TrainableEdm>(ConfigOf(files));
  LoadEdmWeights(denoiser->network(), files);
  for (Tensor& parameter : denoiser->module().parameters()) parameter.requires_grad_(true);
  return denoiser;
}

}  // namespace gas::edm
