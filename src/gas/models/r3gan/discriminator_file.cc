// Files of discriminators: ours with their configuration, and bare weights under R3GAN's names.
#include "gas/core/error.h"
#include "gas/io/json.h"
#include "gas/io/safetensors.h"
#include "gas/models/r3gan/discriminator.h"
#include "gas/nn/state_dict.h"

namespace gas::r3gan {
namespace {

constexpr const char* kDiscriminatorKey = "gas_discriminator";
constexpr const char* kFormat = "r3gan-1";
constexpr const char* kEmbedding = "EmbeddingLayer.weight";

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
  const Safetensors file = ReadSafetensors(path);
  auto tensors = WithoutPrefix(file.tensors);
  Config config = StoredConfig(file, tensors);
  if (classes == Classes::kIgnored && config.classes > 0) {
    config.classes = 0;
    tensors.erase(kEmbedding);
  }
  return DiscriminatorFromTensors(config, tensors, file.name);
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
