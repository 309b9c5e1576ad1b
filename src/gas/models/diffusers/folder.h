// A folder of diffusers: its index, and a subfolder for each part with a configuration and weights.
#ifndef GAS_MODELS_DIFFUSERS_FOLDER_H_
#define GAS_MODELS_DIFFUSERS_FOLDER_H_

#include <filesystem>
#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "gas/models/model_files.h"

namespace gas::diffusers {

// How diffusers' own networks name their weights.
inline constexpr const char* kWeightStem = "diffusion_pytorch_model";
inline constexpr const char* kPickledWeights = "diffusion_pytorch_model.bin";

// The class of the pipeline that the files are the index of; "" for other files.
std::string PipelineOf(const ModelFiles& files);

// The weights of a part, under the first of the names that diffusers gives them: `stem` with its variants and
// shards as safetensors, then `pickled`. Throws Error(kBadFile).
std::unique_ptr<ModelFiles> WeightsIn(const std::filesystem::path& folder,
                                      const std::string& stem = kWeightStem,
                                      const std::string& pickled = kPickledWeights);

// A configuration, in which numbers that are not finite, as Python writes them, are null. Throws
// Error(kBadFile).
nlohmann::json ReadConfiguration(const std::filesystem::path& path);

}  // namespace gas::diffusers

#endif  // GAS_MODELS_DIFFUSERS_FOLDER_H_
