// Fréchet distance between Gaussians fitted to features (Heusel et al. 2017).
#ifndef GAS_METRICS_FRECHET_H_
#define GAS_METRICS_FRECHET_H_

#include "gas/core/torch.h"

namespace gas {

struct FeatureStatistics {
  Tensor mean;        // [F] float64
  Tensor covariance;  // [F,F] float64
};

// What the n summed squares of a covariance are divided by.
enum class Divisor {
  kSamplesLessOne,  // n - 1: pytorch-fid, EDM, GAS, and this program
  kSamples,         // n: the StyleGAN family and R3GAN
};

// Mean and covariance collected batch by batch, in float64; memory does not grow with the number of samples.
class StatisticsAccumulator {
 public:
  explicit StatisticsAccumulator(int64_t features);
  void Add(const Tensor& features);  // [B,F]
  int64_t count() const { return count_; }
  // Throws Error(kBadOption) with fewer than two samples.
  FeatureStatistics Finish(Divisor divisor = Divisor::kSamplesLessOne) const;

 private:
  int64_t count_ = 0;
  Tensor shift_;  // the first batch's mean: sums about it lose no digits
  Tensor sum_, outer_;
};

// |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), at least 0; singular covariances are fine.
double FrechetDistance(const FeatureStatistics& a, const FeatureStatistics& b);

// Of features [N,F] that are all at hand.
FeatureStatistics StatisticsOf(const Tensor& features);

}  // namespace gas

#endif  // GAS_METRICS_FRECHET_H_
