#include "gas/models/dit/dit_family.h"

#include "gas/core/error.h"
#include "gas/models/autoencoder/autoencoder_codec.h"
#include "gas/models/autoencoder/autoencoder_file.h"
#include "gas/models/dit/dit_denoiser.h"
#include "gas/models/dit/layout.h"
#include "gas/models/skeleton_of.h"
#include "gas/nn/weights.h"

namespace gas::dit {
namespace {

Layout LayoutOf(const ModelFiles& files, const ModelOptions& options) {
  if (IsOriginal(files)) return OpenOriginal(files, options.config);
  GAS_CHECK(options.config.empty(), Errc::kBadOption, "model.config = ", options.config,
            ", must not be given for ", files.name(), ", a folder that describes its networks");
  return OpenDiffusersFolder(files);
}

std::shared_ptr<Transformer> NetworkOf(const std::string& file, const Layout& layout, torch::Device device) {
  const auto network = SkeletonOf<Transformer>(file, layout.config.network);
  nn::LoadWeights(*network, *layout.weights, {.device = device});
  network->eval();
  return network;
}

// The codec of the states, with the model's hash, which changes with it.
void SetCodec(Model& model, const Config& config, const ModelOptions& options) {
  autoencoder::OpenedAutoencoder opened = autoencoder::OpenAutoencoder(config.vae, options.device);
  const autoencoder::AutoencoderConfig& c = opened.network->config();
  GAS_CHECK(c.latent_channels == config.network.in_channels, Errc::kBadFile, config.vae.string(),
            ": an autoencoder of ", c.latent_channels, " channels, the network has ",
            config.network.in_channels);
  model.codec = std::make_shared<autoencoder::AutoencoderCodec>(
      opened.network,
      autoencoder::CodecOptions{.scale = opened.scale.value_or(config.scale_factor), .dtype = options.dtype});
  model.sha256 = Sha256With(model.sha256, opened.sha256);
  model.metadata["autoencoder"] = config.vae.string();
}

}  // namespace

bool IsDit(const ModelFiles& files) { return IsOriginal(files) || IsDiffusersFolder(files); }

Model OpenDit(const ModelFiles& files, const ModelOptions& options) {
  const Layout layout = LayoutOf(files, options);
  const Config& config = layout.config;
  const auto network = NetworkOf(files.name(), layout, options.device);
  Model model;
  if (IsDiffusersFolder(files))
    model.name = std::filesystem::absolute(files.path()).parent_path().filename().string();
  const std::string flags = FlagsOf(config).dump();
  model.sha256 = Sha256With(layout.sha256, flags);
  model.schedule = ScheduleOf(config.kind, options.t_eps);
  model.shape = {config.network.in_channels, config.network.input_size, config.network.input_size};
  model.classes = config.classes;
  model.parameters = nn::ParameterCount(*network);
  model.guided_channels = layout.guided_channels;
  model.metadata = {{"flags", flags}};
  if (!layout.described_by.empty()) model.metadata["configuration"] = layout.described_by;
  model.conditioner = std::make_shared<ClassConditioner>(config.classes, config.has_none);
  model.denoiser = std::make_shared<DitDenoiser>(network, config.kind, options.dtype);
  model.encoder = std::make_shared<DitEncoder>(network, config.kind, model.schedule);
  if (!config.vae.empty()) SetCodec(model, config, options);
  model.unused = layout.unused;
  return model;
}

}  // namespace gas::dit
