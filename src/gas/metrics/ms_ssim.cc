#include "gas/metrics/ms_ssim.h"

#include "gas/core/error.h"
#include "gas/nn/ops.h"

namespace gas {
namespace {

constexpr int64_t kSsimWindow = 11;
constexpr double kSsimSigma = 1.5;
constexpr double kBlackToZero = 1.0;  // luminance compares intensities, which are not negative
constexpr double kC1 = (0.01 * kImageRange) * (0.01 * kImageRange);
constexpr double kC2 = (0.03 * kImageRange) * (0.03 * kImageRange);
constexpr std::array<double, 5> kScaleWeights = {0.0448, 0.2856, 0.3001, 0.2363, 0.1333};

// The Gaussian's taps, summing to 1, as a vertical kernel [1,1,k,1].
Tensor GaussianTaps(int64_t side, const Tensor& like) {
  const int64_t taps = std::min(kSsimWindow, side - (side + 1) % 2);
  const int64_t centre = taps / 2;
  const Tensor x = torch::arange(taps, torch::kFloat64) - static_cast<double>(centre);
  const Tensor g = (-x.square() / (2 * kSsimSigma * kSsimSigma)).exp();
  return (g / g.sum()).reshape({1, 1, taps, 1}).to(like.options());
}

// x [N,1,H,W] under the window.
Tensor LocalMean(const Tensor& x, const Tensor& taps) {
  return nn::Conv2d(nn::Conv2d(x, taps, {}, 0), taps.transpose(2, 3), {}, 0);
}

struct Similarity {
  Tensor structure;  // [N], the mean over positions of the contrast-structure term
  Tensor whole;      // [N], of its product with the luminance term
};

// a, b [N,1,H,W].
Similarity SimilarityAt(const Tensor& a, const Tensor& b) {
  const Tensor taps = GaussianTaps(std::min(a.size(2), a.size(3)), a);
  const std::vector<Tensor> m = LocalMean(torch::cat({a, b, a * a, b * b, a * b}), taps).chunk(5);
  const Tensor &mean_a = m[0], &mean_b = m[1];
  const Tensor variances = (m[2] - mean_a * mean_a) + (m[3] - mean_b * mean_b);
  const Tensor covariance = m[4] - mean_a * mean_b;
  const Tensor structure = (2 * covariance + kC2) / (variances + kC2);
  const Tensor luminance = (2 * mean_a * mean_b + kC1) / (mean_a * mean_a + mean_b * mean_b + kC1);
  return {structure.mean({1, 2, 3}), (structure * luminance).mean({1, 2, 3})};
}

}  // namespace

int64_t MsSsimScales(int64_t side) {
  int64_t scales = 1;
  while (scales < static_cast<int64_t>(kScaleWeights.size()) && (side >> scales) >= kSsimWindow) ++scales;
  return scales;
}

Tensor MsSsim(const Tensor& a, const Tensor& b) {
  GAS_CHECK(a.dim() == 4 && a.sizes() == b.sizes() && a.numel() > 0, Errc::kBadOption,
            "ms-ssim: images of shapes ", a.sizes(), " and ", b.sizes(),
            ", must be equal, [B, C, H, W] and not empty");
  const int64_t batch = a.size(0), channels = a.size(1);
  const int64_t scales = MsSsimScales(std::min(a.size(2), a.size(3)));
  double total = 0;
  for (int64_t s = 0; s < scales; ++s) total += kScaleWeights[s];
  Tensor x = a.reshape({batch * channels, 1, a.size(2), a.size(3)}) + kBlackToZero;
  Tensor y = b.to(a.scalar_type()).reshape(x.sizes()) + kBlackToZero, product;
  for (int64_t s = 0; s < scales; ++s) {
    if (s > 0) {
      x = torch::avg_pool2d(x, 2);
      y = torch::avg_pool2d(y, 2);
    }
    const Similarity at = SimilarityAt(x, y);
    const Tensor& kept = s + 1 == scales ? at.whole : at.structure;
    const Tensor factor = kept.clamp_min(kMsSsimFloor).pow(kScaleWeights[s] / total);
    product = product.defined() ? product * factor : factor;
  }
  return product.reshape({batch, channels}).mean(1);
}

}  // namespace gas
