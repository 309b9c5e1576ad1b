// Images as vectors whose squared distance is perceptual, by the frozen denoiser's own encoder: no other
// weights are needed.
#ifndef GAS_MODELS_SELF_EMBEDDING_H_
#define GAS_MODELS_SELF_EMBEDDING_H_

#include "gas/models/encoder_features.h"

namespace gas {

// The noise level that the denoiser is told for its features of a clean image. It is near the middle of those
// that networks are trained for (ln sigma from N(-1.2, 1.2^2), Karras et al. 2022), and ranks the pairs of
// samples and teacher of the model `fashion` most as an independent classifier does: Spearman's correlation
// with the distance of the classifier's embeddings is 0.82 at 0.01, 0.93 at 0.1, 0.95 from 0.2 to 0.8, 0.93
// at 2 (squared difference: 0.65, MS-SSIM: 0.79).
inline constexpr double kSelfSigma = 0.4;

// states [B,C,H,W], not noised, not clipped (they may be latents) -> [B,D]: the last activation that the
// encoder has at each resolution, told noise level `sigma` and no condition, joined as in
// features/unit_maps.h. Self-perceptual distances: Lin & Yang 2023, "Diffusion Model with Perceptual Loss".
Tensor SelfEmbedding(const EncoderFeatures& encoder, const Tensor& states, double sigma = kSelfSigma);

}  // namespace gas

#endif  // GAS_MODELS_SELF_EMBEDDING_H_
