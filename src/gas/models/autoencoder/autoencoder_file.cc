#include "gas/models/autoencoder/autoencoder_file.h"

#include "gas/core/error.h"
#include "gas/io/json_mapping.h"
#include "gas/io/torch_tensors.h"
#include "gas/models/autoencoder/weights_config.h"
#include "gas/models/diffusers/config.h"
#include "gas/models/diffusers/folder.h"
#include "gas/models/diffusers/module_names.h"
#include "gas/models/skeleton_of.h"
#include "gas/nn/weights.h"

namespace gas::autoencoder {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kInModel = "first_stage_model.";
// Where training saves a state dict.
constexpr const char* kTrainingKey = "state_dict";

OpenedAutoencoder OpenFolder(const fs::path& folder, torch::Device device) {
  const fs::path described = folder / "config.json";
  const nlohmann::json json = diffusers::ReadConfiguration(described);
  const AutoencoderConfig config = diffusers::AutoencoderFromDiffusers(described.string(), json);
  const auto weights = diffusers::WeightsIn(folder);
  OpenedAutoencoder opened{.network = SkeletonOf<Autoencoder>(described.string(), config)};
  const diffusers::ModuleNames names = diffusers::AutoencoderNames(config);
  nn::LoadWeights(
      *opened.network, *weights->tensors(),
      {.rename = [&](const std::string& name) { return names.ToNetwork(name); }, .device = device});
  double scale = 0;
  ReadOptional(described.string(), json, "scaling_factor", scale);
  if (scale != 0) opened.scale = scale;
  opened.sha256 = Sha256With(weights->Sha256(), json.dump());
  return opened;
}

// The state dict of a file, which may lie in what training saved around it.
std::shared_ptr<const TensorFile> StateDictOf(const ModelFiles& files) {
  if (files.tensors() != nullptr) return files.tensors();
  GAS_CHECK(files.torch() != nullptr, Errc::kBadFile, files.name(), ": no file of tensors");
  return std::make_shared<TorchTensors>(files.torch(), std::vector<std::string>{kTrainingKey});
}

OpenedAutoencoder OpenFile(const fs::path& path, torch::Device device) {
  const ModelFiles files(path.string());
  const auto weights = StateDictOf(files);
  const bool in_model = std::ranges::any_of(
      weights->tensors(), [](const auto& item) { return item.first.starts_with(kInModel); });
  const std::string prefix(in_model ? kInModel : "");
  const AutoencoderConfig config = KlConfigOfWeights(*weights, prefix);
  OpenedAutoencoder opened{.network = SkeletonOf<Autoencoder>(files.name(), config)};
  nn::LoadWeights(*opened.network, *weights,
                  {.rename =
                       [&](const std::string& name) {
                         if (!name.starts_with(prefix)) return std::string();
                         const std::string inside = name.substr(prefix.size());
                         const bool of_training =
                             inside.starts_with("loss.") || inside.starts_with("model_ema.");
                         return of_training ? std::string() : inside;
                       },
                   .device = device});
  opened.sha256 = files.Sha256();
  return opened;
}

}  // namespace

OpenedAutoencoder OpenAutoencoder(const fs::path& path, torch::Device device) {
  return fs::is_directory(path) ? OpenFolder(path, device) : OpenFile(path, device);
}

}  // namespace gas::autoencoder
