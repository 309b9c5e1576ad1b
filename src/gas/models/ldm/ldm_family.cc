#include "gas/models/ldm/ldm_family.h"

#include "gas/core/error.h"
#include "gas/io/file.h"
#include "gas/io/json.h"
#include "gas/io/yaml.h"
#include "gas/models/autoencoder/autoencoder_codec.h"
#include "gas/models/compvis/checkpoint.h"
#include "gas/models/compvis/config.h"
#include "gas/models/compvis/process.h"
#include "gas/models/ldm/class_context.h"
#include "gas/models/openai_unet/unet_denoiser.h"
#include "gas/models/skeleton_of.h"
#include "gas/nn/weights.h"

namespace gas::ldm {
namespace {

using compvis::CheckpointWeights;
using compvis::Config;

constexpr const char* kNetworkPart = "model.diffusion_model.";
constexpr const char* kAveragesPart = "model_ema.diffusion_model";
constexpr const char* kFirstStagePart = "first_stage_model.";
constexpr const char* kClassesPart = "cond_stage_model.";
constexpr double kDataStd = 1;  // of scaled latents: scale factors are chosen for it

// Of the first stage's training: its discriminator and perceptual network, and averages of its own.
const std::vector<std::string>& FirstStageLeftOut() {
  static const std::vector<std::string> parts = {"loss.", "model_ema."};
  return parts;
}

// ImageNet's, all of them real: the first published model with classes (cin256) has no other. Elsewhere the
// last one was trained as the unconditional side (cin256-v2 has 1001).
bool HasUnconditionalClass(int64_t embedded_classes) { return embedded_classes != 1000; }

// The networks of a checkpoint, frozen.
struct Networks {
  std::shared_ptr<openai_unet::UNet> unet;
  std::shared_ptr<ClassEmbedder> classes;  // null for unconditional models
  std::shared_ptr<autoencoder::Autoencoder> first_stage;
};

std::shared_ptr<openai_unet::UNet> UNetOf(CheckpointWeights& weights, const Config& config,
                                          const std::string& yaml, torch::Device device) {
  const auto unet = SkeletonOf<openai_unet::UNet>(yaml, config.network);
  if (config.use_ema && weights.HasPart(kAveragesPart)) {
    weights.LoadAverages(*unet, device);
  } else {
    weights.Load(*unet, kNetworkPart, device);
  }
  unet->eval();
  return unet;
}

std::shared_ptr<ClassEmbedder> ClassesOf(CheckpointWeights& weights, const Config& config,
                                         torch::Device device) {
  if (config.embedded_classes == 0) return nullptr;
  const nn::SkeletonGuard skeleton;
  auto classes = std::make_shared<ClassEmbedder>(config.embedded_classes, config.network.context_dim);
  weights.Load(*classes, kClassesPart, device);
  return classes;
}

std::shared_ptr<autoencoder::Autoencoder> FirstStageOf(CheckpointWeights& weights, const Config& config,
                                                       const std::string& yaml, torch::Device device) {
  auto network = SkeletonOf<autoencoder::Autoencoder>(yaml, config.first_stage);
  weights.Load(*network, kFirstStagePart, device, FirstStageLeftOut());
  return network;
}

// What does not fit is told together with the configuration that it should fit.
Networks NetworksOf(CheckpointWeights& weights, const Config& config, const std::string& yaml,
                    torch::Device device) {
  try {
    return {UNetOf(weights, config, yaml, device), ClassesOf(weights, config, device),
            FirstStageOf(weights, config, yaml, device)};
  } catch (const Error& e) {
    Fail(e.code(), e.what(), ", by the configuration ", yaml);
  }
}

// Schedule, denoiser and encoder, and the conditioner of the classes.
void SetNetwork(Model& model, const Config& config, const Networks& networks, const ModelOptions& options) {
  const TrainingTimes times{.steps = config.timesteps};
  model.denoiser =
      std::make_shared<openai_unet::UNetDenoiser>(networks.unet, times, config.prediction, options.dtype);
  model.encoder = std::make_shared<openai_unet::UNetEncoder>(
      networks.unet, model.shape, kDataStd,
      [schedule = model.schedule, times](double sigma) { return DiscreteInputAt(*schedule, times, sigma); });
  model.parameters = nn::ParameterCount(*networks.unet);
  const bool has_none = networks.classes != nullptr && HasUnconditionalClass(config.embedded_classes);
  model.classes = config.embedded_classes - (has_none ? 1 : 0);
  model.conditioner = std::make_shared<ClassConditioner>(model.classes, has_none);
  if (networks.classes == nullptr) return;
  model.denoiser = std::make_shared<ClassContextDenoiser>(model.denoiser, networks.classes);
  model.encoder = std::make_shared<ClassContextEncoder>(model.encoder, networks.classes);
  model.parameters += nn::ParameterCount(*networks.classes);
}

}  // namespace

bool IsLdm(const ModelFiles& files) {
  return compvis::IsCheckpoint(files) && !compvis::HasTextEncoder(files);
}

Model OpenLdm(const ModelFiles& files, const ModelOptions& options) {
  const std::filesystem::path yaml = compvis::FindYaml(files.path(), options.config);
  const nlohmann::json configuration = ReadYaml(yaml);
  const Config config = compvis::ConfigFromJson(yaml.string(), configuration);
  GAS_CHECK(config.text_stage.is_null(), Errc::kBadFile, yaml.string(),
            ": a model that is conditioned on texts, whose encoder is not in ", files.name());
  CheckpointWeights weights(files);
  GAS_CHECK(weights.HasPart(kFirstStagePart), Errc::kBadFile, files.name(), ": no tensors ", kFirstStagePart,
            "*, so that nothing could decode its latents");
  const Networks networks = NetworksOf(weights, config, yaml.string(), options.device);

  Model model;
  model.sha256 = Sha256With(files.Sha256(), configuration.dump());
  model.schedule = compvis::ScheduleOf(weights, config, files.name());
  model.shape = {config.channels, config.image_size, config.image_size};
  SetNetwork(model, config, networks, options);
  const double scale = compvis::ScaleOf(weights, config, files.name());
  model.codec = std::make_shared<autoencoder::AutoencoderCodec>(
      networks.first_stage, autoencoder::CodecOptions{.scale = scale, .dtype = options.dtype});
  model.metadata = {{"configuration", yaml.string()}};
  model.unused = weights.Unused();
  return model;
}

}  // namespace gas::ldm
