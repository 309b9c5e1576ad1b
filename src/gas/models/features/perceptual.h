// Images as vectors whose squared distance is perceptual, from networks that are at hand: a small classifier, or the
// denoiser itself.
#ifndef GAS_MODELS_FEATURES_PERCEPTUAL_H_
#define GAS_MODELS_FEATURES_PERCEPTUAL_H_

#include "gas/models/edm/precond.h"
#include "gas/models/features/classifier.h"

namespace gas {

// images [B,C,H,W], clipped to [-1,1] -> [B,D]: the network's activations, normalised over channels, each resolution
// divided by the root of its number of positions. |a - b|^2 then has the form of LPIPS (Zhang et al. 2018) with equal
// weights.
Tensor PerceptualEmbedding(Classifier& network, const Tensor& images);

// The noise level at which the denoiser is asked for its features of a clean image. Training draws ln sigma from
// N(-1.2, 1.2^2) (Karras et al. 2022), so that it is well trained here, and noise of this size hides nothing but the
// finest texture: the network still looks at all of the image.
inline constexpr double kSelfSigma = 0.2;

// images [B,C,R,R], not noised, not clipped (they may be latents) -> [B,D] like PerceptualEmbedding, of the last
// activation that the frozen network's encoder has at each resolution, told noise level `sigma` (raised to the lowest
// that the network supports) and no class. No other weights are needed.
// Self-perceptual distances: Lin & Yang 2023, "Diffusion Model with Perceptual Loss".
Tensor SelfEmbedding(edm::Precond& network, const Tensor& images, double sigma = kSelfSigma);

}  // namespace gas

#endif  // GAS_MODELS_FEATURES_PERCEPTUAL_H_
