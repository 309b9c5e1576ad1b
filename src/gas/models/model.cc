#include "gas/models/model.h"

#include <cstdlib>

#include "gas/core/error.h"
#include "gas/core/nearest.h"
#include "gas/io/file.h"
#include "gas/io/safetensors.h"
#include "gas/models/batch_parallel.h"
#include "gas/models/mixture.h"
#include "gas/models/process_denoiser.h"
#include "gas/models/state_dict.h"

namespace gas {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

constexpr const char* kModelKey = "gas_model";
constexpr std::string_view kProcessPrefix = "exec:";
constexpr const char* kMixtureSuffix = ".json";

const std::string& MetadataAt(const Safetensors& file, const std::string& key) {
  const auto found = file.metadata.find(key);
  GAS_CHECK(found != file.metadata.end(), Errc::kBadFile, file.name, ": metadata entry ", key,
            " is missing, so this is not a model file of this program");
  return found->second;
}

edm::PrecondConfig ConfigOf(const Safetensors& file) {
  GAS_CHECK(MetadataAt(file, kModelKey) == "edm-1", Errc::kBadFile, file.name, ": metadata ", kModelKey,
            " = ", MetadataAt(file, kModelKey), ", must be edm-1");
  const Json json = Json::parse(MetadataAt(file, "init_kwargs"), nullptr, /*allow_exceptions=*/false);
  GAS_CHECK(json.is_object(), Errc::kBadFile, file.name, ": metadata entry init_kwargs is not a JSON object");
  return edm::PrecondConfigFromJson(MetadataAt(file, "class_name"), json);
}

std::vector<std::string> ClassNames(const Safetensors& file) {
  const auto found = file.metadata.find("class_names");
  if (found == file.metadata.end()) return {};
  const Json json = Json::parse(found->second, nullptr, /*allow_exceptions=*/false);
  GAS_CHECK(json.is_array(), Errc::kBadFile, file.name, ": metadata entry class_names is not a JSON array");
  std::vector<std::string> names;
  for (const Json& item : json) names.push_back(item.is_string() ? item.get<std::string>() : item.dump());
  return names;
}

std::vector<fs::path> ModelFolders() {
  std::vector<fs::path> folders;
  if (const char* folder = std::getenv("GAS_MODELS_DIR")) folders.emplace_back(folder);
  std::error_code ignored;
  const fs::path program = fs::read_symlink("/proc/self/exe", ignored);
  if (!ignored) folders.push_back(program.parent_path().parent_path() / "share/gas/models");
  folders.emplace_back(GAS_SOURCE_MODELS);
  return folders;
}

Model OpenProcess(const std::string& command, const ModelOptions& options) {
  GAS_CHECK(!options.bfloat16, Errc::kBadOption, kProcessPrefix, command,
            ": dtype bfloat16, must be float32 for a network in another process");
  const auto process = std::make_shared<ProcessDenoiser>(command);
  const ProcessHello& hello = process->hello();
  Model model;
  model.name = hello.name;
  // The weights are out of reach. What the process says of itself keeps the samples of different models
  // apart, and stays the same when it is started by another command or on another machine.
  model.sha256 = Sha256(process->hello_line());
  model.schedule = hello.schedule;
  model.shape = hello.shape;
  model.classes = hello.classes;
  model.has_gradient = false;
  model.metadata = {{"hello", process->hello_line()}};
  model.device = options.device;
  model.denoiser = process;
  return model;
}

Model OpenMixture(const fs::path& path, const ModelOptions& options) {
  GAS_CHECK(!options.bfloat16, Errc::kBadOption, path.string(),
            ": dtype bfloat16, must be float32 for a mixture");
  const Bytes bytes = ReadFile(path);
  const MixtureFile file =
      ParseMixtureFile(path.string(), {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  Model model;
  model.name = path.stem().string();
  model.sha256 = Sha256(bytes);
  model.schedule = file.schedule;
  model.shape = file.shape;
  model.device = options.device;
  model.denoiser = std::make_shared<MixtureDenoiser>(file.mixture);
  return model;
}

void ApplyGuidance(Model& model, double guidance) {
  if (guidance == 1.0) return;
  GAS_CHECK(model.classes > 0, Errc::kBadOption, "guidance = ", guidance, ", must be 1 for ", model.name,
            ", which has no classes");
  model.denoiser = std::make_shared<GuidedDenoiser>(model.denoiser, guidance);
}

}  // namespace

std::vector<std::string> EmbeddedModels() { return {"fashion", "mixture"}; }

fs::path EmbeddedFile(const std::string& name) {
  std::string tried;
  for (const fs::path& folder : ModelFolders()) {
    for (const char* suffix : {".safetensors", kMixtureSuffix}) {
      const fs::path path = folder / (name + suffix);
      if (fs::exists(path)) return path;
      tried += (tried.empty() ? "" : ", ") + path.string();
    }
  }
  Fail(Errc::kUnavailable, "embedded weights ", name, " not found, tried ", tried);
}

namespace {

// The model as it is, without guidance.
Model OpenUnguided(const std::string& name, const ModelOptions& options) {
  if (name.starts_with(kProcessPrefix)) return OpenProcess(name.substr(kProcessPrefix.size()), options);
  const bool is_path = LooksLikeFile(name);
  const auto embedded = EmbeddedModels();
  if (!is_path && std::find(embedded.begin(), embedded.end(), name) == embedded.end()) {
    Fail(Errc::kBadOption, "model ", name, ": unknown, did you mean ", NearestName(name, embedded),
         "? A file needs a path such as ./", name, ".safetensors");
  }
  const fs::path path = is_path ? fs::path(name) : EmbeddedFile(name);
  if (path.extension() == kMixtureSuffix) return OpenMixture(path, options);
  const Bytes bytes = ReadFile(path);
  const Safetensors file = ParseSafetensors(path.string(), bytes);
  const edm::PrecondConfig config = ConfigOf(file);
  Model model;
  model.name = is_path ? path.stem().string() : name;
  model.sha256 = Sha256(bytes);
  model.schedule = EdmAsVpSchedule(options.t_eps, config.sigma_min, config.sigma_max);
  model.network = std::make_shared<edm::Precond>(config);
  LoadStateDict(*model.network, file.tensors, file.name);
  UseChannelsLast(*model.network);
  model.network->eval();
  model.network->to(options.device);
  for (auto& parameter : model.network->parameters()) {
    parameter.requires_grad_(false);
    model.parameters += parameter.numel();
  }
  const edm::UNetConfig& c = config.network;
  model.shape = {c.out_channels, c.img_resolution, c.img_resolution};
  model.classes = c.label_dim;
  model.class_names = ClassNames(file);
  model.metadata = file.metadata;
  model.device = options.device;
  model.denoiser = std::make_shared<EdmDenoiser>(model.network, options.bfloat16);
  return model;
}

}  // namespace

Model OpenModel(const std::string& name, const ModelOptions& options) {
  Model model = OpenUnguided(name, options);
  ApplyGuidance(model, options.guidance);
  return model;
}

void WriteEdmModel(const fs::path& path, const edm::PrecondConfig& config,
                   const std::map<std::string, Tensor>& weights,
                   std::map<std::string, std::string> metadata) {
  metadata[kModelKey] = "edm-1";
  metadata["class_name"] = config.class_name;
  metadata["init_kwargs"] = InitKwargs(config).dump();
  std::map<std::string, Tensor> plain;
  for (const auto& [name, tensor] : weights) plain[name] = tensor.detach().cpu().contiguous();
  WriteSafetensors(path, plain, metadata);
}

Tensor EdmDenoiser::Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const {
  const edm::PrecondScales c = network_->Scales(at.sigma / at.alpha);
  const auto cast = [&](const Tensor& scale) { return scale.to(x.device(), x.scalar_type()); };
  const Tensor labels = edm::OneHotLabels(condition.labels, network_->config().network.label_dim);
  // z = x / alpha is never formed: alpha is small at the start, and its scales are known in float64.
  const Tensor scaled = (cast(c.in / at.alpha) * x).contiguous(torch::MemoryFormat::ChannelsLast);
  const Tensor raw = ParallelOverBatch(
      scaled, c.noise, [&](const Tensor& images, const Tensor& noise, int64_t begin, int64_t end) {
        const AutocastGuard autocast(x.device().type(), bfloat16_);
        return network_->Raw(images, noise, labels.defined() ? labels.slice(0, begin, end) : labels);
      });
  return cast(c.skip / at.alpha) * x + cast(c.out) * raw.to(x.scalar_type());
}

Tensor GuidedDenoiser::Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const {
  GAS_CHECK(condition.labels.defined(), Errc::kBadOption, "guidance = ", scale_,
            ", must be 1 for samples without class");
  const Condition both{torch::cat({torch::full_like(condition.labels, -1), condition.labels})};
  const auto parts = inner_->Predict(torch::cat({x, x}), at, both).chunk(2);
  return parts[0] + scale_ * (parts[1] - parts[0]);
}

}  // namespace gas
