// EDM networks: NVIDIA's pickles and files of this program.
#ifndef GAS_MODELS_EDM_EDM_FAMILY_H_
#define GAS_MODELS_EDM_EDM_FAMILY_H_

#include <filesystem>
#include <map>
#include <string>

#include "gas/models/edm/precond.h"
#include "gas/models/model.h"
#include "gas/models/model_files.h"

namespace gas::edm {

bool IsEdmFile(const ModelFiles& files);
// Of a file for which IsEdmFile is true; throws Error(kBadFile).
PrecondConfig ConfigOf(const ModelFiles& files);
Model OpenEdm(const ModelFiles& files, const ModelOptions& options);
// Gives a network of that configuration, which may be a skeleton, the weights of the file, frozen. Throws
// Error(kBadFile).
void LoadEdmWeights(Precond& network, const ModelFiles& files, torch::Device device = torch::kCPU);

// Writes a safetensors file that OpenModel reads. Further metadata: class_names (JSON array), features (the
// name of the feature network made for its images, an embedded one or a path), and whatever people want to
// keep.
void WriteEdmModel(const std::filesystem::path& path, const PrecondConfig& config,
                   const std::map<std::string, Tensor>& weights, std::map<std::string, std::string> metadata);

}  // namespace gas::edm

#endif  // GAS_MODELS_EDM_EDM_FAMILY_H_
