// What text encoders of Stable Diffusion are, from their files.
#ifndef GAS_MODELS_SD_TEXT_STAGES_H_
#define GAS_MODELS_SD_TEXT_STAGES_H_

#include <filesystem>
#include <string>

#include <nlohmann/json.hpp>

#include "gas/io/tensor_file.h"
#include "gas/models/text/clip_text.h"

namespace gas::sd {

// config.json of a text encoder's folder. Throws Error(kBadFile) for missing and impossible values.
text::ClipTextConfig ClipTextFromJson(const std::string& what, const nlohmann::json& json);

// As the shapes of tensors of Hugging Face's names that begin with `prefix` show it. Heads are 64 wide, as in
// all published encoders; for another width it is 0, and the caller must know them.
text::ClipTextConfig ClipTextOfWeights(const TensorFile& file, const std::string& prefix);

}  // namespace gas::sd

#endif  // GAS_MODELS_SD_TEXT_STAGES_H_
