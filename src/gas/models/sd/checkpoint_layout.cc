// The single files of CompVis and Stability: one state dict with all networks in it.
#include <fmt/format.h>

#include "gas/core/error.h"
#include "gas/io/json_file.h"
#include "gas/io/json_mapping.h"
#include "gas/io/yaml.h"
#include "gas/models/autoencoder/weights_config.h"
#include "gas/models/compvis/checkpoint.h"
#include "gas/models/compvis/process.h"
#include "gas/models/openai_unet/weights_config.h"
#include "gas/models/sd/layout.h"
#include "gas/models/sd/open_clip_tensors.h"
#include "gas/models/sd/text_stages.h"
#include "gas/nn/weights.h"

namespace gas::sd {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kNetwork = "model.diffusion_model.";
constexpr const char* kAverages = "model_ema.diffusion_model";
constexpr const char* kFirstStage = "first_stage_model.";
// What a first stage's training leaves, and what encoders hold that is no weight, or is not used.
constexpr const char* kFirstStageLeftOut[] = {"loss.", "model_ema."};

// The versions differ in the text encoders and in how their output is used.
enum class Version { k1, k2, kXl };

// Where a version keeps its text encoders, and whether by the names of open_clip.
struct EncoderPlace {
  const char* prefix;
  bool open_clip;
};

const std::vector<EncoderPlace>& PlacesOf(Version version) {
  static const std::vector<EncoderPlace> first = {{"cond_stage_model.transformer.", false}};
  static const std::vector<EncoderPlace> second = {{"cond_stage_model.model.", true}};
  static const std::vector<EncoderPlace> xl = {{"conditioner.embedders.0.transformer.", false},
                                               {"conditioner.embedders.1.model.", true}};
  return version == Version::k1 ? first : version == Version::k2 ? second : xl;
}

Version VersionOf(const compvis::CheckpointWeights& weights, const std::string& file) {
  for (const Version version : {Version::k1, Version::k2, Version::kXl}) {
    const auto& places = PlacesOf(version);
    const bool all =
        std::ranges::all_of(places, [&](const EncoderPlace& place) { return weights.HasPart(place.prefix); });
    if (all) return version;
  }
  Fail(Errc::kBadFile, file, ": its text encoders are none of Stable Diffusion 1, 2 or XL base");
}

// What the configurations of the published models say, for files that come without one.
compvis::Config PublishedConfig(const compvis::CheckpointWeights& weights, Version version,
                                const std::string& file) {
  GAS_CHECK(version != Version::k2, Errc::kBadFile, file,
            ": whether its network predicts noise or v does not show in it, name its YAML file with "
            "--model-config FILE");
  compvis::Config c;
  c.network = openai_unet::ConfigOfWeights(weights.tensors(), kNetwork);
  if (version == Version::k1) c.network.num_heads = 8;
  if (version == Version::kXl) c.network.num_head_channels = 64;
  c.first_stage = autoencoder::KlConfigOfWeights(weights.tensors(), kFirstStage);
  c.channels = c.first_stage.latent_channels;
  c.image_size = version == Version::kXl ? 128 : 64;
  c.scale_factor = version == Version::kXl ? 0.13025 : 0.18215;
  c.use_ema = false;
  c.linear_start = 0.00085;
  c.linear_end = 0.012;
  try {
    openai_unet::Validate(c.network);
  } catch (const Error& e) {  // an impossible size, which here came from a file
    Fail(Errc::kBadFile, file, ": ", e.what());
  }
  compvis::CheckNumbers(file, c);
  return c;
}

// A configuration in the form of sd_xl_base.yaml, of Stability's generative-models.
compvis::Config XlConfigFromJson(const std::string& name, const json& yaml) {
  GAS_CHECK(yaml.is_object(), Errc::kBadFile, name, " is not a mapping");
  const std::string what = name + ": model.params";
  const json& params = MappingAt(name + ": model", MappingAt(name, yaml, "model"), "params");
  compvis::Config c;
  c.network = compvis::UNetFromJson(what + ".network_config", MappingAt(what, params, "network_config"));
  c.network.use_spatial_transformer = true;  // generative-models has no other attention
  c.first_stage = autoencoder::AutoencoderConfigFromJson(what + ".first_stage_config",
                                                         MappingAt(what, params, "first_stage_config"));
  c.channels = c.first_stage.latent_channels;
  c.image_size = 128;  // not in the file
  ReadNeeded(what, params, "scale_factor", c.scale_factor);
  c.use_ema = false;
  const std::string of_denoiser = what + ".denoiser_config", of_params = of_denoiser + ".params";
  const json& denoiser = MappingAt(of_denoiser, MappingAt(what, params, "denoiser_config"), "params");
  std::string target;
  ReadNeeded(of_params + ".scaling_config", MappingAt(of_params, denoiser, "scaling_config"), "target",
             target);
  GAS_CHECK(target.ends_with(".EpsScaling") || target.ends_with(".VScaling"), Errc::kBadFile, of_params,
            ".scaling_config.target = ", Quoted(target), ", must be EpsScaling or VScaling");
  if (target.ends_with(".VScaling")) c.prediction = PredictionType::kVelocity;
  c.linear_start = 0.00085;  // LegacyDDPMDiscretization's
  c.linear_end = 0.012;
  compvis::CheckNumbers(what, c);
  return c;
}

// The params of the configuration's text encoders, one each; null where they are not described.
std::vector<json> DescribedStages(const json& yaml, const compvis::Config& config, Version version) {
  if (version != Version::kXl) {
    return {config.text_stage.is_object() ? config.text_stage.value("params", json()) : json()};
  }
  std::vector<json> stages(2);
  const json::json_pointer models("/model/params/conditioner_config/params/emb_models");
  if (!yaml.contains(models) || !yaml.at(models).is_array()) return stages;
  const json& list = yaml.at(models);
  for (size_t i = 0; i < std::min<size_t>(2, list.size()); ++i) {
    if (list[i].is_object()) stages[i] = list[i].value("params", json());
  }
  return stages;
}

// Heads do not show in weights. "version" names the encoder where it was published, or a folder here, whose
// configuration then decides.
void SetHeads(text::ClipTextConfig& network, const json& described, const fs::path& folder,
              const std::string& file) {
  const json version = described.is_object() ? described.value("version", json()) : json();
  const fs::path config =
      version.is_string() ? folder / version.get<std::string>() / "config.json" : fs::path();
  if (!config.empty() && fs::is_regular_file(config)) {
    network.heads = ClipTextFromJson(config.string(), ReadJsonFile(config, ModelFiles::kMaxJsonBytes)).heads;
  }
  GAS_CHECK(
      network.heads > 0, Errc::kBadFile, file, ": a text encoder of width ", network.width,
      ", whose heads do not show in the file, must have a width that is a multiple of 64, or be named by "
      "`version` in the YAML file, a folder with its config.json");
  text::Validate(file + ": text encoder", network);
}

class CheckpointLayout : public Layout {
 public:
  CheckpointLayout(const ModelFiles& files, const std::string& asked) : files_(files), weights_(files) {
    version_ = VersionOf(weights_, files.name());
    for (const EncoderPlace& place : PlacesOf(version_)) {
      if (place.open_clip) open_clip_ = std::make_unique<OpenClipTensors>(weights_.tensors(), place.prefix);
    }
    const std::optional<fs::path> yaml = compvis::FindYamlIfAny(files.path(), asked);
    if (yaml) configuration_ = ReadYaml(*yaml);
    described_by_ = yaml ? yaml->string() : "";
    config_.parts = !yaml                      ? PublishedConfig(weights_, version_, files.name())
                    : version_ == Version::kXl ? XlConfigFromJson(described_by_, configuration_)
                                               : compvis::ConfigFromJson(described_by_, configuration_);
    const fs::path folder = (yaml ? *yaml : files.path()).parent_path();
    const std::vector<json> described = DescribedStages(configuration_, config_.parts, version_);
    for (size_t i = 0; i < PlacesOf(version_).size(); ++i) {
      config_.text.push_back(StageOf(i));
      SetHeads(config_.text.back().network, described[i], folder, files.name());
      config_.text.back().tokenizer = TokenizerIn(files.path().parent_path());
    }
    config_.zero_unconditional = version_ == Version::kXl;
    if (version_ == Version::kXl) SetSizeChannels();
  }

  void Load(openai_unet::UNet& network, torch::Device device) override {
    if (config_.parts.use_ema && weights_.HasPart(kAverages)) return weights_.LoadAverages(network, device);
    weights_.Load(network, kNetwork, device);
  }
  void Load(autoencoder::Autoencoder& network, torch::Device device) override {
    weights_.Load(network, kFirstStage, device,
                  {std::begin(kFirstStageLeftOut), std::end(kFirstStageLeftOut)});
  }
  void Load(text::ClipText& network, size_t stage, torch::Device device) override {
    const EncoderPlace& place = PlacesOf(version_)[stage];
    if (!place.open_clip) return weights_.Load(network, place.prefix, device, {kPositionIds});
    // Of the last block, and of the projection, version 2 uses nothing.
    const std::string last = fmt::format("text_model.encoder.layers.{}.", network.config().layers);
    const auto rename = [&](const std::string& name) {
      const bool projection = name == "text_projection.weight" && network.config().projected_width == 0;
      const bool unused =
          name == "logit_scale" || name == "attn_mask" || projection || name.starts_with(last);
      return unused ? std::string() : name;
    };
    nn::LoadWeights(network, *open_clip_, {.rename = rename, .device = device});
    weights_.MarkUsed(place.prefix);
  }
  SchedulePtr Schedule() override { return compvis::ScheduleOf(weights_, config_.parts, files_.name()); }
  double Scale() override { return compvis::ScaleOf(weights_, config_.parts, files_.name()); }
  std::string Sha256() const override {
    return configuration_.is_null() ? files_.Sha256() : Sha256With(files_.Sha256(), configuration_.dump());
  }
  std::vector<std::string> Unused() const override { return weights_.Unused(); }

 private:
  TextStage StageOf(size_t i) const {
    const EncoderPlace& place = PlacesOf(version_)[i];
    TextStage stage;
    stage.network = place.open_clip ? ClipTextOfWeights(*open_clip_, "")
                                    : ClipTextOfWeights(weights_.tensors(), place.prefix);
    stage.penultimate = version_ == Version::kXl;
    if (!place.open_clip) return stage;
    stage.network.activation = text::Activation::kGelu;
    stage.padding = "!";  // token 0, as open_clip fills up
    if (version_ == Version::k2) {
      --stage.network.layers;  // the normalised output of the last block but one
    } else {
      const auto projection = open_clip_->tensors().find("text_projection.weight");
      GAS_CHECK(projection != open_clip_->tensors().end() && projection->second.shape.size() == 2,
                Errc::kBadFile, files_.name(), ": ", place.prefix,
                "text_projection is missing, or no matrix");
      stage.network.projected_width = projection->second.shape[0];
    }
    return stage;
  }

  void SetSizeChannels() {
    const int64_t rest = config_.parts.network.vector_dim - config_.text.back().network.projected_width;
    GAS_CHECK(rest > 0 && rest % 12 == 0, Errc::kBadFile, files_.name(), ": the network is told a vector of ",
              config_.parts.network.vector_dim, " numbers, must be the pooled text's ",
              config_.text.back().network.projected_width, " and six times an even number");
    config_.size_channels = rest / 6;
  }

  const ModelFiles& files_;
  compvis::CheckpointWeights weights_;
  std::unique_ptr<OpenClipTensors> open_clip_;  // null where no encoder is open_clip's
  Version version_;
  json configuration_;  // null without a YAML file
};

}  // namespace

bool IsCheckpointLayout(const ModelFiles& files) {
  return compvis::IsCheckpoint(files) && compvis::HasTextEncoder(files);
}

std::unique_ptr<Layout> OpenCheckpointLayout(const ModelFiles& files, const std::string& config) {
  return std::make_unique<CheckpointLayout>(files, config);
}

}  // namespace gas::sd
