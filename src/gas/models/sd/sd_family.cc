#include "gas/models/sd/sd_family.h"

#include <fmt/format.h>

#include "gas/core/error.h"
#include "gas/models/autoencoder/autoencoder_codec.h"
#include "gas/models/openai_unet/unet_denoiser.h"
#include "gas/models/sd/layout.h"
#include "gas/models/sd/lora.h"
#include "gas/models/sd/text_encoders.h"
#include "gas/models/skeleton_of.h"
#include "gas/nn/weights.h"

namespace gas::sd {
namespace {

constexpr double kDataStd = 1;  // of scaled latents: scale factors are chosen for it

std::unique_ptr<Layout> LayoutOf(const ModelFiles& files, const ModelOptions& options) {
  if (IsCheckpointLayout(files)) return OpenCheckpointLayout(files, options.config);
  GAS_CHECK(options.config.empty(), Errc::kBadOption, "model.config = ", options.config,
            ", must not be given for ", files.name(), ", a folder that describes its networks");
  return OpenFolderLayout(files);
}

// The networks, frozen, on the device.
struct Networks {
  std::shared_ptr<openai_unet::UNet> unet;
  std::shared_ptr<autoencoder::Autoencoder> first_stage;
  std::vector<std::shared_ptr<text::ClipText>> text;

  int64_t Parameters() const {
    int64_t count = nn::ParameterCount(*unet);
    for (const auto& encoder : text) count += nn::ParameterCount(*encoder);
    return count;
  }
};

Networks NetworksOf(Layout& layout, const std::string& file, torch::Device device) {
  const SdConfig& c = layout.config();
  Networks networks{.unet = SkeletonOf<openai_unet::UNet>(file, c.parts.network),
                    .first_stage = SkeletonOf<autoencoder::Autoencoder>(file, c.parts.first_stage)};
  layout.Load(*networks.unet, device);
  layout.Load(*networks.first_stage, device);
  for (size_t i = 0; i < c.text.size(); ++i) {
    networks.text.push_back(SkeletonOf<text::ClipText>(file, c.text[i].network));
    layout.Load(*networks.text.back(), i, device);
  }
  networks.unet->eval();
  return networks;
}

// Adds what was asked for to the weights. Returns the model's hash, which changes with it.
std::string MergedSha256(const Networks& networks, const std::vector<LoraFile>& loras, std::string sha256) {
  if (loras.empty()) return sha256;
  LoraTargets targets;
  targets.Add(*networks.unet);
  for (size_t i = 0; i < networks.text.size(); ++i)
    targets.Add(*networks.text[i], i, networks.text.size() == 1);
  for (const LoraFile& lora : loras) {
    sha256 = Sha256With(sha256, MergeLora(lora, targets) + fmt::format(":{}", lora.weight));
  }
  return sha256;
}

// What was asked for, or what the model was trained on.
ImageSize SizeOf(const SdConfig& c, const std::optional<ImageSize>& asked) {
  const int64_t factor = c.parts.first_stage.factor(), own = c.parts.image_size * factor;
  if (!asked) return {own, own};
  CheckImageSize(*asked, factor << (c.parts.network.levels() - 1));
  return *asked;
}

// The tokenizer asked for, or else that of the model; null without one.
std::shared_ptr<const text::ClipTokenizer> TokenizerOf(const TextStage& stage, const std::string& asked) {
  const std::filesystem::path path = asked.empty() ? stage.tokenizer : std::filesystem::path(asked);
  if (path.empty()) return nullptr;
  auto tokenizer = std::make_shared<const text::ClipTokenizer>(path);
  GAS_CHECK(tokenizer->size() <= stage.network.vocabulary, Errc::kBadFile, path.string(), ": ",
            tokenizer->size(), " tokens, must be at most the text encoder's ", stage.network.vocabulary);
  return tokenizer;
}

std::shared_ptr<TextConditioner> ConditionerOf(const SdConfig& c, const Networks& networks, ImageSize size,
                                               const ModelOptions& options) {
  std::vector<TextEncoder> encoders;
  for (size_t i = 0; i < c.text.size(); ++i) {
    encoders.push_back({c.text[i], networks.text[i], TokenizerOf(c.text[i], options.texts.tokenizer)});
  }
  const TextEncoders all(std::move(encoders), size, c.size_channels);
  TellCutPrompts(all, options.texts.prompts, options.message);
  return std::make_shared<TextConditioner>(all, options.texts, c.zero_unconditional);
}

}  // namespace

bool IsSd(const ModelFiles& files) { return IsCheckpointLayout(files) || IsFolderLayout(files); }

Model OpenSd(const ModelFiles& files, const ModelOptions& options) {
  const std::unique_ptr<Layout> layout = LayoutOf(files, options);
  const SdConfig& c = layout->config();
  const ImageSize size = SizeOf(c, options.texts.size);
  const Networks networks = NetworksOf(*layout, files.name(), options.device);

  Model model;
  if (IsFolderLayout(files))
    model.name = std::filesystem::absolute(files.path()).parent_path().filename().string();
  model.sha256 = MergedSha256(networks, options.texts.loras, layout->Sha256());
  model.schedule = layout->Schedule();
  const int64_t factor = c.parts.first_stage.factor();
  model.shape = {c.parts.channels, size.height / factor, size.width / factor};
  model.parameters = networks.Parameters();
  model.texts = RecordOf(options.texts);
  const TrainingTimes times{.steps = c.parts.timesteps};
  model.denoiser =
      std::make_shared<openai_unet::UNetDenoiser>(networks.unet, times, c.parts.prediction, options.dtype);
  model.encoder = std::make_shared<openai_unet::UNetEncoder>(
      networks.unet, model.shape, kDataStd,
      [schedule = model.schedule, times](double sigma) { return DiscreteInputAt(*schedule, times, sigma); });
  model.conditioner = ConditionerOf(c, networks, size, options);
  model.codec = std::make_shared<autoencoder::AutoencoderCodec>(
      networks.first_stage, autoencoder::CodecOptions{.scale = layout->Scale(), .dtype = options.dtype});
  if (!layout->described_by().empty()) model.metadata = {{"configuration", layout->described_by()}};
  model.unused = layout->Unused();
  return model;
}

}  // namespace gas::sd
