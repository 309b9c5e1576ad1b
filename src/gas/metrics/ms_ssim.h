// Multi-scale structural similarity (Wang, Simoncelli & Bovik 2003).
#ifndef GAS_METRICS_MS_SSIM_H_
#define GAS_METRICS_MS_SSIM_H_

#include "gas/core/torch.h"

namespace gas {

inline constexpr double kImageRange = 2.0;  // between the darkest and the brightest value of images in [-1,1]

// a, b [B,C,H,W] in [-1,1] -> [B], the mean over channels of MS-SSIM: 1 for equal images, 0 at least.
// Differentiable in both. Window: Gaussian of 11 pixels, sigma 1.5, without padding; K1 = 0.01, K2 = 0.03,
// data range 2, black (-1) as intensity 0; each scale halves the image by averaging 2x2 pixels (an odd last
// row or column is dropped); published weights.
//
// Small images: MsSsimScales of the five scales are used, the first ones, with their weights divided by their
// sum. Below 11 pixels a side the window is the largest odd number that fits.
//
// The mean contrast-structure of a scale, which can be negative where images are opposed, counts as
// kMsSsimFloor at least: powers of negative numbers do not exist, and at 0 their slope is infinite. There the
// scale gives no gradient. Throws Error(kBadOption) for shapes that differ.
Tensor MsSsim(const Tensor& a, const Tensor& b);

inline constexpr double kMsSsimFloor = 1e-6;

// How many scales have the whole window within an image whose smaller side is `side`: in [1, 5], 2 for 28 and
// 32, 3 for 64, 5 from 176.
int64_t MsSsimScales(int64_t side);

}  // namespace gas

#endif  // GAS_METRICS_MS_SSIM_H_
