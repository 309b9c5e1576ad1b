// The models and feature networks that come with this program.
#ifndef GAS_MODELS_EMBEDDED_H_
#define GAS_MODELS_EMBEDDED_H_

#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace gas {

struct EmbeddedModel {
  const char* name;
  const char* features;  // the embedded feature network made for its images, "" for none
};

std::span<const EmbeddedModel> EmbeddedModels();
// The row of a name; null for a name of none.
const EmbeddedModel* FindEmbeddedModel(const std::string& name);
// Their names.
std::vector<std::string> EmbeddedModelNames();

// "fashion" -> .../fashion.safetensors, a model or a feature network: in $GAS_MODELS_DIR, beside the program,
// or in the source tree. Throws Error(kUnavailable) naming the places tried.
std::filesystem::path EmbeddedFile(const std::string& name);

// The file of a feature network given as an embedded one's name or a path. Throws as EmbeddedFile does.
std::filesystem::path FeatureFile(const std::string& name_or_path);

}  // namespace gas

#endif  // GAS_MODELS_EMBEDDED_H_
