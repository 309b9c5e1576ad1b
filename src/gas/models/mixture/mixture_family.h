// Gaussian mixtures as model files.
#ifndef GAS_MODELS_MIXTURE_MIXTURE_FAMILY_H_
#define GAS_MODELS_MIXTURE_MIXTURE_FAMILY_H_

#include "gas/models/model.h"
#include "gas/models/model_files.h"

namespace gas {

bool IsMixture(const ModelFiles& files);
Model OpenMixture(const ModelFiles& files, const ModelOptions& options);

}  // namespace gas

#endif  // GAS_MODELS_MIXTURE_MIXTURE_FAMILY_H_
