// A folder of diffusers: a subfolder with a configuration for each network.
#include <fmt/format.h>

#include "gas/core/error.h"
#include "gas/io/file.h"
#include "gas/io/json_mapping.h"
#include "gas/models/compvis/process.h"
#include "gas/models/sd/folder_config.h"
#include "gas/models/sd/layout.h"
#include "gas/models/sd/module_names.h"
#include "gas/models/sd/text_stages.h"
#include "gas/nn/weights.h"

namespace gas::sd {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kXlPipeline = "StableDiffusionXLPipeline";
constexpr std::string_view kPipelines[] = {"StableDiffusionPipeline", kXlPipeline};

std::string ClassOf(const ModelFiles& files) {
  if (!files.HasJsonEntry("_class_name")) return "";
  const json& name = (*files.json())["_class_name"];
  return name.is_string() ? name.get<std::string>() : "";
}

// The weights of a part, under the first of the names that diffusers gives them.
std::unique_ptr<ModelFiles> WeightsIn(const fs::path& folder, const std::string& stem,
                                      const std::string& pickled) {
  std::vector<std::string> names;
  for (const char* variant : {"", ".fp16", ".bf16"}) {
    names.push_back(stem + variant + ".safetensors");
    // Of several files the index.
    names.push_back(fmt::format("{}.safetensors.index{}.json", stem, variant));
  }
  names.push_back(pickled);
  for (const std::string& name : names) {
    if (!fs::exists(folder / name)) continue;
    auto files = std::make_unique<ModelFiles>((folder / name).string());
    GAS_CHECK(files->tensors() != nullptr, Errc::kBadFile, (folder / name).string(), ": no file of tensors");
    return files;
  }
  Fail(Errc::kBadFile, folder.string(), ": no weights there, neither ", names.front(), " nor ", names[1],
       " or ", names.back());
}

// Python writes numbers that are not finite by names that JSON does not have: null takes their places.
std::string WithoutInfinities(std::string_view text) {
  constexpr std::string_view kNames[] = {"-Infinity", "Infinity", "NaN"};
  std::string plain;
  bool quoted = false;
  for (size_t i = 0; i < text.size();) {
    const auto name = std::ranges::find_if(
        kNames, [&](std::string_view candidate) { return text.substr(i).starts_with(candidate); });
    if (!quoted && name != std::end(kNames)) {
      plain += "null";
      i += name->size();
      continue;
    }
    if (text[i] == '"') quoted = !quoted;
    if (text[i] == '\\' && i + 1 < text.size()) plain += text[i++];
    plain += text[i++];
  }
  return plain;
}

class FolderLayout : public Layout {
 public:
  explicit FolderLayout(const ModelFiles& files)
      : folder_(files.path().parent_path()), class_(ClassOf(files)) {
    described_by_ = files.path().string();
    index_ = *files.json();
    const json unet = ReadPart("unet", "config.json");
    compvis::Config& c = config_.parts;
    c.network = UNetFromDiffusers(PathOf("unet", "config.json"), unet);
    const json vae = ReadPart("vae", "config.json");
    const std::string of_vae = PathOf("vae", "config.json");
    c.first_stage = AutoencoderFromDiffusers(of_vae, vae);
    c.channels = c.first_stage.latent_channels;
    c.scale_factor = 0.18215;  // of folders that were written before it stood in them
    ReadOptional(of_vae, vae, "scaling_factor", c.scale_factor);
    ReadNeeded(PathOf("unet", "config.json"), unet, "sample_size", c.image_size);
    ReadDiffusersSchedule(PathOf("scheduler", "scheduler_config.json"),
                          ReadPart("scheduler", "scheduler_config.json"), c);
    compvis::CheckNumbers(described_by_, c);
    AddStage("text_encoder", "tokenizer");
    if (class_ == kXlPipeline) SetXl(unet);
    unet_ = WeightsIn(folder_ / "unet", "diffusion_pytorch_model", "diffusion_pytorch_model.bin");
    vae_ = WeightsIn(folder_ / "vae", "diffusion_pytorch_model", "diffusion_pytorch_model.bin");
  }

  void Load(openai_unet::UNet& network, torch::Device device) override {
    const ModuleNames names = UNetNames(network.config());
    LoadFrom(network, *unet_, device, [&](const std::string& name) { return names.ToNetwork(name); });
  }
  void Load(autoencoder::Autoencoder& network, torch::Device device) override {
    const ModuleNames names = AutoencoderNames(network.config());
    LoadFrom(network, *vae_, device, [&](const std::string& name) { return names.ToNetwork(name); });
  }
  void Load(text::ClipText& network, size_t stage, torch::Device device) override {
    LoadFrom(network, *text_[stage], device,
             [](const std::string& name) { return name == kPositionIds ? std::string() : name; });
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
    const fs::path path = folder_ / part / file;
    const Bytes bytes = ReadFile(path, ModelFiles::kMaxJsonBytes);
    json content = ParseJson(path.string(), WithoutInfinities({bytes.data(), bytes.size()}));
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
    text_.push_back(WeightsIn(folder_ / encoder, "model", "pytorch_model.bin"));
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
  return ClassOf(files).starts_with("StableDiffusion") && files.HasJsonEntry("unet");
}

std::unique_ptr<Layout> OpenFolderLayout(const ModelFiles& files) {
  const std::string name = ClassOf(files);
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
