// Precision, recall, density and coverage (Naeem et al. 2020, arXiv 2002.09797); docs/math/metrics.md.
#ifndef GAS_METRICS_PRDC_H_
#define GAS_METRICS_PRDC_H_

#include "gas/metrics/neighbours.h"

namespace gas {

// With d the distance of features and r(x) the radius of x, the distance to its k-th nearest other of its own
// set:
struct Prdc {
  double precision = 0;  // share of fakes f with d(f, x) < r(x) for any real x
  double recall = 0;     // share of reals x with d(f, x) < r(f) for any fake f
  double density = 0;    // pairs with d(f, x) < r(x), divided by k times the number of fakes; may exceed 1
  double coverage = 0;   // share of reals x with d(f, x) < r(x) for any fake f
};

// The sets may differ in size. Comparisons are strict, as in the authors' program; in precision_recall.h they
// are not. Throws Error(kBadOption) unless both have the same F and k.
Prdc MeasurePrdc(const Neighbourhoods& real, const Neighbourhoods& fake,
                 int64_t distances_at_once = kDistancesAtOnce);

}  // namespace gas

#endif  // GAS_METRICS_PRDC_H_
