// Distances between sets of features, and of each feature to its k-th nearest other.
#ifndef GAS_METRICS_NEIGHBOURS_H_
#define GAS_METRICS_NEIGHBOURS_H_

#include <functional>

#include "gas/core/torch.h"

namespace gas {

// Distances held at once, 32 MiB of them.
inline constexpr int64_t kDistancesAtOnce = int64_t{1} << 22;

// Euclidean distances between all rows of a [N,F] and of b [M,F], in float64, some rows of a at a time: calls
// use(distances [rows,M], first row), in order, with at most distances_at_once entries (one row where M is
// more). Computed as the norm of differences: equal rows are at distance 0, the distance of a pair is the
// same number in every block and in both directions, and so comparisons of distances do not depend on blocks
// or on the order of rows.
void ForEachDistanceBlock(const Tensor& a, const Tensor& b,
                          const std::function<void(const Tensor&, int64_t)>& use,
                          int64_t distances_at_once = kDistancesAtOnce);

// A set of features with, around each, the ball that reaches to its k-th nearest other.
struct Neighbourhoods {
  Tensor features;  // [N,F]
  Tensor radii;     // [N] float64; 0 where k others are equal
  int64_t k = 0;

  int64_t size() const { return features.size(0); }
};

// features [N,F]. Throws Error(kBadOption) unless 1 <= k < N, Error(kNumeric) for NaN and infinity.
Neighbourhoods FindNeighbourhoods(const Tensor& features, int64_t k,
                                  int64_t distances_at_once = kDistancesAtOnce);

// Throws Error(kBadOption) unless both have the same F and k.
void CheckComparable(const Neighbourhoods& real, const Neighbourhoods& fake);

}  // namespace gas

#endif  // GAS_METRICS_NEIGHBOURS_H_
