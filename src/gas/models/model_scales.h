// One model with several scales of guidance.
#ifndef GAS_MODELS_MODEL_SCALES_H_
#define GAS_MODELS_MODEL_SCALES_H_

#include <functional>
#include <string>

#include "gas/models/model.h"

namespace gas {

// Opens a model once, for options without a range of guidance. The function gives it with one scale in place
// of options.guidance, and throws Error(kBadOption) for a scale other than 1 without an unconditional side;
// all models that it gives share weights and processes. Throws as OpenModel.
std::function<Model(double scale)> OpenModelAtScales(const std::string& name, const ModelOptions& options);

}  // namespace gas

#endif  // GAS_MODELS_MODEL_SCALES_H_
