// The spectral start: a jump from pure noise to the first time at which an evaluation is worth its cost
// (docs/math/spectral.md, section 3).
#ifndef GAS_FIT_SPECTRAL_START_H_
#define GAS_FIT_SPECTRAL_START_H_

#include "gas/schedule/noise_schedule.h"
#include "gas/solver/spectral_basis.h"

namespace gas {

// Mean and second moments of the spectrum of data, collected batch by batch in float64.
class SpectrumStatistics {
 public:
  explicit SpectrumStatistics(const std::vector<int64_t>& shape);  // [C,H,W]; others are Error(kBadOption)
  void Add(const Tensor& images);                                  // [B,C,H,W]

  int64_t count() const { return count_; }
  // Principal components of the channels, the strongest first: [C,C] float64, for a basis.
  Tensor ChannelRotation() const;
  // In the components of `basis`: [C,H,W] float64.
  Tensor Mean(const SpectralBasis& basis) const;
  Tensor Variance(const SpectralBasis& basis) const;

 private:
  std::vector<int64_t> shape_;
  int64_t count_ = 0;
  Tensor sum_;      // [C,H,W]
  Tensor product_;  // [C,C,H,W] sums of products of the channels at each frequency
};

// The exact flow of a Gaussian with these statistics from t_from to t_to, around the mean.
SpectralStartPtr MakeSpectralStart(const SpectrumStatistics& statistics, const SpectralBasis& basis,
                                   const NoiseSchedule& schedule, double t_from, double t_to);

}  // namespace gas

#endif  // GAS_FIT_SPECTRAL_START_H_
