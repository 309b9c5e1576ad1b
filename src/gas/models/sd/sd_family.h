// Stable Diffusion 1, 2 and XL (Rombach et al. 2022; Podell et al. 2023): images from texts, from single
// files and from folders of diffusers (docs/text-models.md).
#ifndef GAS_MODELS_SD_SD_FAMILY_H_
#define GAS_MODELS_SD_SD_FAMILY_H_

#include "gas/models/model.h"
#include "gas/models/model_files.h"

namespace gas::sd {

bool IsSd(const ModelFiles& files);
// States are scaled latents, the codec is the first stage, conditions are those of sd/text_encoders.h. Throws
// Error(kBadFile), and Error(kBadOption) for a size that the networks cannot have.
Model OpenSd(const ModelFiles& files, const ModelOptions& options);

}  // namespace gas::sd

#endif  // GAS_MODELS_SD_SD_FAMILY_H_
