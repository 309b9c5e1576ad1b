// Frequency bands: the basis in which a spectral table has a coefficient per band (docs/math/spectral.md).
#ifndef GAS_SOLVER_SPECTRAL_BASIS_H_
#define GAS_SOLVER_SPECTRAL_BASIS_H_

#include <memory>
#include <vector>

#include "gas/core/torch.h"

namespace gas {

// Channels rotated to principal components, then the orthonormal two-dimensional DCT-II of each; frequencies
// (f_y, f_x) are grouped by their radius sqrt((f_y / H)^2 + (f_x / W)^2), in [0, sqrt 2), into bands.
struct SpectralBasis {
  std::vector<int64_t> shape;  // [C,H,W] of the states
  Tensor rotation;             // [C,C] float64 orthogonal; row c is component c
  Tensor edges;                // [K+1] float64 ascending; band k holds radii in [edges[k], edges[k+1])

  int64_t components() const { return shape[0]; }
  int64_t bands() const { return edges.size(0) - 1; }
  // [H,W] int64, the band of each frequency.
  Tensor BandOfFrequency() const;
};

using SpectralBasisPtr = std::shared_ptr<const SpectralBasis>;

// About `bands` bands: the constant alone, then geometric from the lowest frequency up, without empty ones.
// bands = 1 puts everything into one. Throws Error(kBadOption) for bands outside [1, 1000] and shapes that
// are not [C,H,W].
SpectralBasisPtr MakeSpectralBasis(const std::vector<int64_t>& shape, int64_t bands,
                                   const Tensor& rotation = {});

// Throws Error(kBadOption) unless shapes agree, the rotation is orthogonal to 1e-6 and every frequency has a
// band.
void ValidateBasis(const SpectralBasis& basis);

// The orthonormal DCT-II as a matrix [n,n] float64: row f holds sqrt(2/n) cos(pi f (2i + 1) / (2n)), row 0
// over sqrt 2.
Tensor DctMatrix(int64_t n);

// The transform in the type and on the device of `like`. Matrix products: differentiable, on every device,
// and below sides of several hundred faster than transforms built on an FFT.
class SpectralTransform {
 public:
  SpectralTransform(const SpectralBasis& basis, const Tensor& like);
  Tensor Forward(const Tensor& x) const;  // [B,C,H,W] -> spectrum, same shape
  Tensor Inverse(const Tensor& spectrum) const;

 private:
  Tensor rows_, columns_, rotation_;  // rotation undefined when it is the identity
};

// The jump from pure noise to the first state: x_0 = Inverse(gain * Forward(prior_std * noise) + offset)
// (docs/math/spectral.md, section 3).
struct SpectralStart {
  Tensor gain;    // [C,H,W] float64
  Tensor offset;  // [C,H,W] float64, in the spectrum
};

using SpectralStartPtr = std::shared_ptr<const SpectralStart>;

}  // namespace gas

#endif  // GAS_SOLVER_SPECTRAL_BASIS_H_
