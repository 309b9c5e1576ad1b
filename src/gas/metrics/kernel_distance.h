// Kernel distance between sets of features, KID (Bińkowski et al. 2018, arXiv 1801.01401);
// docs/math/metrics.md.
#ifndef GAS_METRICS_KERNEL_DISTANCE_H_
#define GAS_METRICS_KERNEL_DISTANCE_H_

#include "gas/metrics/mean_deviation.h"

namespace gas {

// Kernel values held at once, 32 MiB of them.
inline constexpr int64_t kKernelValuesAtOnce = int64_t{1} << 22;

// The unbiased estimate of the squared maximum mean discrepancy with k(x, y) = (x.y / F + 1)^3, for x [N,F],
// y [M,F]:
//   sum_{i != j} k(x_i, x_j) / (N (N-1)) + sum_{i != j} k(y_i, y_j) / (M (M-1))
//     - 2 sum_{ij} k(x_i, y_j) / (N M)
// in float64; may be below 0. Throws Error(kBadOption) with fewer than two rows or different F,
// Error(kNumeric) for NaN and infinity.
double KernelDistance(const Tensor& x, const Tensor& y, int64_t values_at_once = kKernelValuesAtOnce);

// The same over subsets [S,2,n] int64: rows subsets[s][0] of x with rows subsets[s][1] of y. Throws
// Error(kBadOption) for rows that are not there.
MeanDeviation KernelDistanceOfSubsets(const Tensor& x, const Tensor& y, const Tensor& subsets);

}  // namespace gas

#endif  // GAS_METRICS_KERNEL_DISTANCE_H_
