// Improved precision and recall (Kynkäänniemi et al. 2019, arXiv 1904.06991); docs/math/metrics.md.
#ifndef GAS_METRICS_PRECISION_RECALL_H_
#define GAS_METRICS_PRECISION_RECALL_H_

#include "gas/metrics/neighbours.h"

namespace gas {

struct PrecisionRecall {
  double precision = 0;  // share of fakes f with d(f, x) <= r(x) for any real x
  double recall = 0;     // share of reals x with d(f, x) <= r(f) for any fake f

  // Harmonic mean, 0 if both are.
  double FScore() const { return precision + recall > 0 ? 2 * precision * recall / (precision + recall) : 0; }
};

// d and r as in prdc.h, whose comparisons are strict; these include the border, so that a set of equal
// features covers itself. The sets may differ in size. Throws Error(kBadOption) unless both have the same F
// and k.
PrecisionRecall MeasurePrecisionRecall(const Neighbourhoods& real, const Neighbourhoods& fake,
                                       int64_t distances_at_once = kDistancesAtOnce);

}  // namespace gas

#endif  // GAS_METRICS_PRECISION_RECALL_H_
