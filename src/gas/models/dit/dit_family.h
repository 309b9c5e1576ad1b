// Diffusion transformers for latents of ImageNet: DiT (Peebles and Xie 2023) and SiT (Ma et al. 2024), from
// their state dicts as published, from what their training saves, and, of DiT, from folders of diffusers.
#ifndef GAS_MODELS_DIT_DIT_FAMILY_H_
#define GAS_MODELS_DIT_DIT_FAMILY_H_

#include "gas/models/model.h"
#include "gas/models/model_files.h"

namespace gas::dit {

bool IsDit(const ModelFiles& files);
// States are scaled latents; the codec is an autoencoder that the card names or that lies beside the weights,
// null without one. Reads the card that options.config names, or that lies beside the file. Throws
// Error(kBadFile), for a network whose kind or heads nothing tells too.
Model OpenDit(const ModelFiles& files, const ModelOptions& options);

}  // namespace gas::dit

#endif  // GAS_MODELS_DIT_DIT_FAMILY_H_
