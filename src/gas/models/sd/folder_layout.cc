// A folder of diffusers: a subfolder with a configuration for each network.
#include "gas/core/error.h"
#include "gas/io/json_mapping.h"
#include "gas/models/compvis/process.h"
#include "gas/models/diffusers/config.h"
#include "gas/models/diffusers/folder.h"
#include "gas/models/diffusers/module_names.h"
#include "gas/models/sd/layout.h"
#include "gas/models/sd/text_stages.h"
#include "gas/nn/weights.h"

namespace gas::sd {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kXlPipeline = "StableDiffusionXLPipeline";
constexpr std::string_view kPipelines[] = {"StableDiffusionPipeline", kXlPipeline};

class FolderLayout : public Layout {
 public:
  explicit FolderLayout(const ModelFiles& files)
      : folder_(files.path().parent_path()), class_(diffusers::PipelineOf(files)) {
    described_by_ = files.path().string();
    index_ = *files.json();
    const json unet = ReadPart("unet", "config.json");
    compvis::Config& c = config_.parts;
    c.network = diffusers::UNetFromDiffusers(PathOf("unet", "config.json"), unet);
    const json vae = ReadPart("vae", "config.json");
    const std::string of_vae = PathOf("vae", "config.json");
    c.first_stage = diffusers::AutoencoderFromDiffusers(of_vae, vae);
    c.channels = c.first_stage.latent_channels;
    c.scale_factor = 0.18215;  // of folders that were written before it stood in them
    ReadOptional(of_vae, vae, "scaling_factor", c.scale_factor);
    ReadNeeded(PathOf("unet", "config.json"), unet, "sample_size", c.image_size);
    diffusers::ReadDiffusersSchedule(PathOf("scheduler", "scheduler_config.json"),
                                     ReadPart("scheduler", "scheduler_config.json"), c);
    compvis::CheckNumbers(described_by_, c);
    AddStage("text_encoder", "tokenizer");
    if (class_ == kXlPipeline) SetXl(unet);
    unet_ = diffusers::WeightsIn(folder_ / "unet");
    vae_ = diffusers::WeightsIn(folder_ / "vae");
  }

  void Load(openai_unet::UNet& network, torch::Device device) override {
    const diffusers::ModuleNames names = diffusers::UNetNames(network.config());
    LoadFrom(network, *unet_, device, [&](const std::string& name) { return names.ToNetwork(name); });
  }
  void Load(autoencoder::Autoencoder& network, torch::Device device) override {
    const diffusers::ModuleNames names = diffusers::AutoencoderNames(network.config());
    LoadFrom(network, *vae_, device, [&](const std::string& name) { return names.ToNetwork(name); });
  }
  void Load(text::ClipText& network, size_t stage, torch::Device device) override {
    LoadFrom(network, *text_[stage], device, [](const std::string& name) {
      // Version 5 of transformers writes names without their first part.
      const bool whole = name.starts_with("text_model.") || name.starts_with("text_projection.");
      const std::string ours = whole ? name : "text_model." + name;
      return ours == kPositionIds ? std::string() : ours;
    });
  }
  SchedulePtr Schedule() override {
    try {
      return DiscreteSchedule(compvis::PublishedTable(config_.parts));
    } catch (const Error& e) {  // impossible betas, which here came from a file
      Fail(Errc::kBadFile, PathOf("scheduler", "scheduler_config.json"), ": ", e.what());
    }
  }
  double Scale() override { return config_.parts.scale_factor; }
  std::string Sha256() const override {
    std::string hash = Sha256With(unet_->Sha256(), vae_->Sha256());
    for (const auto& files : text_) hash = Sha256With(hash, files->Sha256());
    return Sha256With(hash, read_.dump());
  }
  std::vector<std::string> Unused() const override { return {}; }

 private:
  using Rename = std::function<std::string(const std::string&)>;

  static void LoadFrom(torch::nn::Module& network, const ModelFiles& files, torch::Device device,
                       const Rename& rename) {
    nn::LoadWeights(network, *files.tensors(), {.rename = rename, .device = device});
  }

  std::string PathOf(const std::string& part, const char* file) const {
    return (folder_ / part / file).string();
  }

  json ReadPart(const std::string& part, const char* file) {
    json content = diffusers::ReadConfiguration(folder_ / part / file);
    read_[part][file] = content;
    return content;
  }

  void AddStage(const std::string& encoder, const std::string& tokenizer) {
    TextStage stage;
    stage.network = ClipTextFromJson(PathOf(encoder, "config.json"), ReadPart(encoder, "config.json"));
    stage.tokenizer = fs::exists(folder_ / tokenizer / "merges.txt") ? folder_ / tokenizer : fs::path();
    const char* special = "special_tokens_map.json";
    if (fs::exists(folder_ / tokenizer / special)) {
      const json tokens = ReadPart(tokenizer, special);
      const json padding = tokens.is_object() ? tokens.value("pad_token", json()) : json();
      // A text, or an object that describes it.
      const json text = padding.is_object() ? padding.value("content", json()) : padding;
      if (text.is_string()) stage.padding = text.get<std::string>();
    }
    stage.padding_in_prompts = true;
    config_.text.push_back(stage);
    text_.push_back(diffusers::WeightsIn(folder_ / encoder, "model", "pytorch_model.bin"));
  }

  void SetXl(const json& unet) {
    AddStage("text_encoder_2", "tokenizer_2");
    for (TextStage& stage : config_.text) stage.penultimate = true;
    config_.zero_unconditional = true;
    ReadOptional(described_by_, index_, "force_zeros_for_empty_prompt", config_.zero_unconditional);
    const std::string what = PathOf("unet", "config.json");
    ReadNeeded(what, unet, "addition_time_embed_dim", config_.size_channels);
    const int64_t pooled = config_.text.back().network.projected_width;
    GAS_CHECK(
        config_.size_channels > 0 && config_.size_channels <= 1 << 16 && config_.size_channels % 2 == 0 &&
            pooled + 6 * config_.size_channels == config_.parts.network.vector_dim,
        Errc::kBadFile, what, ".projection_class_embeddings_input_dim = ", config_.parts.network.vector_dim,
        ", must be the pooled text's ", pooled,
        " and six times addition_time_embed_dim = ", config_.size_channels, ", an even number");
  }

  fs::path folder_;
  std::string class_;
  json index_;
  json read_ = json::object();  // all configurations, by folder and file
  std::unique_ptr<ModelFiles> unet_, vae_;
  std::vector<std::unique_ptr<ModelFiles>> text_;
};

}  // namespace

bool IsFolderLayout(const ModelFiles& files) {
  return diffusers::PipelineOf(files).starts_with("StableDiffusion") && files.HasJsonEntry("unet");
}

std::unique_ptr<Layout> OpenFolderLayout(const ModelFiles& files) {
  const std::string name = diffusers::PipelineOf(files);
  const bool known = std::ranges::find(kPipelines, name) != std::end(kPipelines);
  GAS_CHECK(known, Errc::kBadFile, files.path().string(), ": _class_name = ", Quoted(name), ", must be ",
            kPipelines[0], " or ", kPipelines[1]);
  return std::make_unique<FolderLayout>(files);
}

fs::path TokenizerIn(const fs::path& folder) {
  const fs::path place = folder.empty() ? fs::path(".") : folder;
  if (fs::exists(place / "tokenizer" / "merges.txt")) return place / "tokenizer";
  for (const char* name : {"bpe_simple_vocab_16e6.txt.gz", "merges.txt"}) {
    if (fs::exists(place / name)) return place / name;
  }
  return {};
}

}  // namespace gas::sd
