// Differentiable augmentation of what a discriminator sees (Zhao et al. 2020, arXiv 2006.10738).
#ifndef GAS_TRAIN_AUGMENT_H_
#define GAS_TRAIN_AUGMENT_H_

#include "gas/core/torch.h"

namespace gas {

// Each part is off at 0.
struct AugmentOptions {
  double translation = 0;  // largest shift over the image's side, in [0, 1); what moves in is zero
  double cutout =
      0;  // side of a square that is set to zero over the image's side, in [0, 1); it may stick out
  double brightness =
      0;  // width of the interval around 0 from which a number is drawn and added to all pixels

  bool any() const { return translation > 0 || cutout > 0 || brightness > 0; }
};

// The strengths of the paper: an eighth, a half, and 1 (for images in [-1,1]).
inline constexpr AugmentOptions kDiffAugment{.translation = 0.125, .cutout = 0.5, .brightness = 1.0};

// Whose random numbers are drawn: those of rows from `first_row` on of the batch of this seed, so that the
// parts of a batch are augmented as the whole is.
struct AugmentDraw {
  AugmentDraw(uint64_t seed = 0, int64_t first_row = 0) : seed(seed), first_row(first_row) {}
  uint64_t seed;
  int64_t first_row;
};

// Throws Error(kBadOption) for strengths outside their ranges.
void Validate(const AugmentOptions& options);

// images [B,C,H,W], or any shape if nothing is asked for -> the same shape and dtype, each moved, cut and
// brightened by random amounts of its own: a function of `draw`, row and options alone, on every device.
// Linear in the images but for the added brightness, so it may be differentiated any number of times.
Tensor Augment(const Tensor& images, const AugmentOptions& options, const AugmentDraw& draw);

}  // namespace gas

#endif  // GAS_TRAIN_AUGMENT_H_
