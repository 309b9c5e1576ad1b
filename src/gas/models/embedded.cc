#include "gas/models/embedded.h"

#include <cstdlib>

#include "gas/core/error.h"
#include "gas/io/file.h"

namespace gas {
namespace {

namespace fs = std::filesystem;

constexpr EmbeddedModel kModels[] = {
    {"fashion", "fashion-features"}, {"emoji", "emoji-features"}, {"mixture", ""}};
constexpr const char* kSuffixes[] = {".safetensors", ".json"};

std::vector<fs::path> ModelFolders() {
  std::vector<fs::path> folders;
  if (const char* folder = std::getenv("GAS_MODELS_DIR")) folders.emplace_back(folder);
  std::error_code ignored;
  const fs::path program = fs::read_symlink("/proc/self/exe", ignored);
  if (!ignored) folders.push_back(program.parent_path().parent_path() / "share/gas/models");
  folders.emplace_back(GAS_SOURCE_MODELS);
  return folders;
}

}  // namespace

std::span<const EmbeddedModel> EmbeddedModels() { return kModels; }

const EmbeddedModel* FindEmbeddedModel(const std::string& name) {
  for (const EmbeddedModel& model : kModels) {
    if (name == model.name) return &model;
  }
  return nullptr;
}

std::vector<std::string> EmbeddedModelNames() {
  std::vector<std::string> names;
  for (const EmbeddedModel& model : kModels) names.emplace_back(model.name);
  return names;
}

fs::path EmbeddedFile(const std::string& name) {
  std::string tried;
  for (const fs::path& folder : ModelFolders()) {
    for (const char* suffix : kSuffixes) {
      const fs::path path = folder / (name + suffix);
      if (fs::exists(path)) return path;
      tried += (tried.empty() ? "" : ", ") + path.string();
    }
  }
  Fail(Errc::kUnavailable, "embedded weights ", name, " not found, tried ", tried);
}

fs::path FeatureFile(const std::string& name_or_path) {
  return LooksLikeFile(name_or_path) ? fs::path(name_or_path) : EmbeddedFile(name_or_path);
}

}  // namespace gas
