// Latent diffusion models of CompVis: a checkpoint and its YAML file (docs/formats.md).
#ifndef GAS_MODELS_LDM_LDM_FAMILY_H_
#define GAS_MODELS_LDM_LDM_FAMILY_H_

#include "gas/models/model.h"
#include "gas/models/model_files.h"

namespace gas::ldm {

// Unconditional ones and those with class labels. With a text encoder they are another family's.
bool IsLdm(const ModelFiles& files);
// States are scaled latents, the codec is the first stage. Reads the YAML file that options.config names, or
// that lies beside the checkpoint (compvis::FindYaml). Throws Error(kBadFile).
Model OpenLdm(const ModelFiles& files, const ModelOptions& options);

}  // namespace gas::ldm

#endif  // GAS_MODELS_LDM_LDM_FAMILY_H_
