// Images as vectors whose squared distance is the perceptual distance of small grey images.
#ifndef GAS_MODELS_FEATURES_PERCEPTUAL_H_
#define GAS_MODELS_FEATURES_PERCEPTUAL_H_

#include "gas/models/features/classifier.h"

namespace gas {

// images [B,C,H,W], clipped to [-1,1] -> [B,D]: the network's activations, normalised over channels, each resolution
// divided by the root of its number of positions. |a - b|^2 then has the form of LPIPS (Zhang et al. 2018) with equal
// weights.
Tensor PerceptualEmbedding(Classifier& network, const Tensor& images);

}  // namespace gas

#endif  // GAS_MODELS_FEATURES_PERCEPTUAL_H_
