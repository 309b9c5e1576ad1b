// Files of discriminators: ours with their configuration, bare weights under R3GAN's names, and R3GAN's
// snapshots.
#include "gas/core/error.h"
#include "gas/io/json.h"
#include "gas/io/safetensors.h"
#include "gas/io/torch_tensors.h"
#include "gas/models/model_files.h"
#include "gas/models/r3gan/discriminator.h"
#include "gas/nn/state_dict.h"

namespace gas::r3gan {
namespace {

constexpr const char* kDiscriminatorKey = "gas_discriminator";
constexpr const char* kFormat = "r3gan-1";
constexpr const char* kEmbedding = "EmbeddingLayer.weight";
constexpr const char* kSnapshotEntry = "D";

// What is in a file.
struct Stored {
  std::string name;
  std::map<std::string, Tensor> tensors;
  Config config;
};

// Names as in the network; snapshots have "Model." before all of them.
std::map<std::string, Tensor> WithoutPrefix(const std::map<std::string, Tensor>& tensors) {
  const std::string prefix = "Model.";
  std::map<std::string, Tensor> result;
  for (const auto& [name, tensor] : tensors) {
    result[name.starts_with(prefix) ? name.substr(prefix.size()) : name] = tensor;
  }
  return result;
}

Config StoredConfig(const Safetensors& file, const std::map<std::string, Tensor>& tensors) {
  const auto format = file.metadata.find(kDiscriminatorKey);
  if (format == file.metadata.end()) return ConfigFromTensors(tensors, file.name);
  GAS_CHECK(format->second == kFormat, Errc::kBadFile, file.name, ": metadata ", kDiscriminatorKey, " = ",
            format->second, ", must be ", kFormat);
  const auto config = file.metadata.find("config");
  GAS_CHECK(config != file.metadata.end(), Errc::kBadFile, file.name, ": metadata entry config is missing");
  try {
    return ConfigFromJson(ParseJson("metadata entry config", config->second));
  } catch (const Error& e) {
    Fail(Errc::kBadFile, file.name, ": ", e.what());
  }
}

Stored StoredInSafetensors(const std::filesystem::path& path) {
  const Safetensors file = ReadSafetensors(path);
  Stored stored{.name = file.name, .tensors = WithoutPrefix(file.tensors), .config = {}};
  stored.config = StoredConfig(file, stored.tensors);
  return stored;
}

// The stages that a snapshot runs in bfloat16, by the attribute DataType of each. Weights alone have none.
std::vector<int64_t> Bfloat16StagesIn(const TorchFile& file, int64_t stages) {
  std::vector<int64_t> found;
  for (int64_t stage = 0; stage < stages; ++stage) {
    const std::string path[] = {
        kSnapshotEntry,        "_modules", "Model", "_modules", "MainLayers", "_modules",
        std::to_string(stage), "DataType"};
    const PickleRef type = file.Find(path);
    const auto* global = type == nullptr ? nullptr : type->If<PickleGlobal>();
    if (global != nullptr && global->FullName() == "torch.bfloat16") found.push_back(stage);
  }
  return found;
}

// A snapshot of R3GAN's training program, whose entry D is the module, or a state dict. The arguments of the
// module are not in it: its shapes give them.
Stored StoredInTorchFile(const std::shared_ptr<const TorchFile>& file) {
  const std::string entry[] = {kSnapshotEntry};
  const bool snapshot = file->Find(entry) != nullptr;
  const TorchTensors weights(
      file, snapshot ? std::vector<std::string>{kSnapshotEntry} : std::vector<std::string>{});
  std::map<std::string, Tensor> tensors;
  for (const auto& [name, info] : weights.tensors()) tensors[name] = weights.View(name);
  Stored stored{.name = file->name(), .tensors = WithoutPrefix(tensors), .config = {}};
  stored.config = ConfigFromTensors(stored.tensors, stored.name);
  stored.config.bfloat16_stages = Bfloat16StagesIn(*file, stored.config.stages());
  return stored;
}

Stored StoredIn(const std::filesystem::path& path) {
  const ModelFiles files(path.string());
  return files.torch() ? StoredInTorchFile(files.torch()) : StoredInSafetensors(path);
}

}  // namespace

std::shared_ptr<R3ganDiscriminator> DiscriminatorFromTensors(const Config& config,
                                                             const std::map<std::string, Tensor>& tensors,
                                                             const std::string& file) {
  Validate(config);
  // Before the network is made, so that a small file cannot ask for a large one.
  int64_t elements = 0;
  for (const auto& [name, tensor] : tensors) elements += tensor.numel();
  GAS_CHECK(elements == ElementCount(config), Errc::kBadFile, file, ": its tensors have ", elements,
            " numbers, the discriminator of its configuration has ", ElementCount(config));
  auto network = std::make_shared<R3ganDiscriminator>(config);
  LoadStateDict(*network, tensors, file);
  return network;
}

std::shared_ptr<R3ganDiscriminator> ReadDiscriminator(const std::filesystem::path& path, Classes classes) {
  Stored stored = StoredIn(path);
  if (classes == Classes::kIgnored && stored.config.classes > 0) {
    stored.config.classes = 0;
    stored.tensors.erase(kEmbedding);
  }
  return DiscriminatorFromTensors(stored.config, stored.tensors, stored.name);
}

void WriteDiscriminator(const std::filesystem::path& path, const R3ganDiscriminator& network,
                        std::map<std::string, std::string> metadata) {
  auto tensors = StateDict(network);
  for (auto& [name, tensor] : tensors) tensor = tensor.cpu().contiguous();
  metadata[kDiscriminatorKey] = kFormat;
  metadata["config"] = ToJson(network.config()).dump();
  WriteSafetensors(path, tensors, metadata);
}

}  // namespace gas::r3gan
