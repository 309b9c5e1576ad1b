#include "gas/models/adm/adm_family.h"

#include "gas/core/error.h"
#include "gas/io/file.h"
#include "gas/models/adm/adm_denoiser.h"
#include "gas/models/adm/config.h"
#include "gas/models/openai_unet/unet_denoiser.h"
#include "gas/models/skeleton_of.h"
#include "gas/nn/weights.h"
#include "gas/schedule/alphas_cumprod.h"

namespace gas::adm {
namespace {

using openai_unet::UNet;
using openai_unet::UNetDenoiser;
using openai_unet::UNetEncoder;

constexpr double kDataStd = 0.5;  // of images in [-1, 1]

std::shared_ptr<UNet> NetworkOf(const ModelFiles& files, const AdmConfig& config, torch::Device device) {
  const auto network = SkeletonOf<UNet>(files.name(), config.network);
  nn::LoadWeights(*network, *files.tensors(), {.device = device});
  network->eval();
  return network;
}

// Schedule, denoiser and encoder of guided-diffusion's networks.
void SetDiscrete(Model& model, const AdmConfig& config, const std::shared_ptr<UNet>& network,
                 const ModelOptions& options) {
  const int64_t steps = config.diffusion_steps;
  const Tensor alphas =
      config.noise_schedule == "cosine" ? CosineAlphasCumprod(steps) : LinearAlphasCumprod(steps);
  model.schedule = DiscreteSchedule(alphas, options.t_eps);
  const double scale = config.rescale_timesteps ? 1000.0 / static_cast<double>(steps) : 1.0;
  const TrainingTimes times{.steps = steps, .scale = scale};
  const auto type = config.predict_xstart ? PredictionType::kData : PredictionType::kNoise;
  model.denoiser = std::make_shared<UNetDenoiser>(network, times, type, options.dtype);
  model.encoder = std::make_shared<UNetEncoder>(
      network, model.shape, kDataStd,
      [schedule = model.schedule, times](double sigma) { return DiscreteInputAt(*schedule, times, sigma); });
}

// The same of the EDM networks.
void SetEdm(Model& model, const AdmConfig& config, const std::shared_ptr<UNet>& network,
            const ModelOptions& options) {
  model.schedule = EdmAsVpSchedule(options.t_eps.value_or(kDefaultTEps), config.sigma_min, config.sigma_max);
  model.denoiser = std::make_shared<AdmEdmDenoiser>(network, options.dtype);
  model.encoder = std::make_shared<UNetEncoder>(
      network, model.shape, kSigmaData, [least = config.sigma_min](double sigma) {
        const PrecondScales scales = AdmEdmScales(Scalar(std::max(sigma, least)));
        return EncoderInput{scales.in.item<double>(), scales.noise.item<double>()};
      });
}

}  // namespace

bool IsAdmFile(const ModelFiles& files) {
  return files.tensors() != nullptr && HasAdmNames(*files.tensors());
}

Model OpenAdm(const ModelFiles& files, const ModelOptions& options) {
  const AdmConfig config = ConfigOf(*files.tensors(), CardBeside(files.path()));
  const std::shared_ptr<UNet> network = NetworkOf(files, config, options.device);
  const int64_t classes = config.network.num_classes;
  Model model;
  model.sha256 = Sha256With(files.Sha256(), FlagsOf(config).dump());
  model.shape = {config.network.in_channels, config.image_size, config.image_size};
  model.classes = classes;
  model.parameters = nn::ParameterCount(*network);
  model.metadata = files.tensors()->metadata();
  model.metadata["flags"] = FlagsOf(config).dump();
  model.conditioner = std::make_shared<ClassConditioner>(classes, /*has_none=*/false);
  if (config.edm) {
    SetEdm(model, config, network, options);
  } else {
    SetDiscrete(model, config, network, options);
  }
  return model;
}

}  // namespace gas::adm
