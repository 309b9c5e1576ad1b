// Images as vectors whose squared distance is perceptual, from networks that are at hand: a small classifier,
// or the denoiser itself.
#ifndef GAS_MODELS_FEATURES_PERCEPTUAL_H_
#define GAS_MODELS_FEATURES_PERCEPTUAL_H_

#include "gas/models/edm/precond.h"
#include "gas/models/features/classifier.h"

namespace gas {

// images [B,C,H,W], clipped to [-1,1] -> [B,D]: the network's activations, normalised over channels, each
// resolution divided by the root of its number of positions. |a - b|^2 then has the form of LPIPS (Zhang et
// al. 2018) with equal weights.
Tensor PerceptualEmbedding(Classifier& network, const Tensor& images);

// The noise level that the denoiser is told for its features of a clean image. It is near the middle of those
// that networks are trained for (ln sigma from N(-1.2, 1.2^2), Karras et al. 2022), and ranks the pairs of
// samples and teacher of the model `fashion` most as an independent classifier does: Spearman's correlation
// with PerceptualEmbedding's distance is 0.82 at 0.01, 0.93 at 0.1, 0.95 from 0.2 to 0.8, 0.93 at 2 (squared
// difference: 0.65, MS-SSIM: 0.79).
inline constexpr double kSelfSigma = 0.4;

// images [B,C,R,R], not noised, not clipped (they may be latents) -> [B,D] like PerceptualEmbedding, of the
// last activation that the frozen network's encoder has at each resolution, told noise level `sigma` (raised
// to the lowest that the network supports) and no class. No other weights are needed. Self-perceptual
// distances: Lin & Yang 2023, "Diffusion Model with Perceptual Loss".
Tensor SelfEmbedding(edm::Precond& network, const Tensor& images, double sigma = kSelfSigma);

}  // namespace gas

#endif  // GAS_MODELS_FEATURES_PERCEPTUAL_H_
