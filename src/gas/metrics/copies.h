// How many samples lie nearer to the training data than new data of the same kind do.
#ifndef GAS_METRICS_COPIES_H_
#define GAS_METRICS_COPIES_H_

#include "gas/core/torch.h"

namespace gas {

struct CopyCount {
  Tensor distances;  // [N] float64: of each sample to the training row nearest to it
  Tensor nearest;    // [N] int64: that row
  double sample_median = 0, held_out_median = 0;  // of distances to the nearest training row
  double threshold = 0;                           // the `quantile` of the held-out rows' distances
  int64_t nearer = 0;  // samples below the threshold; a share of `quantile` is expected without memory
};

// samples [N,F], training [M,F], held_out [H,F]; Euclidean distances. Throws Error(kBadOption) for an empty
// set or another F, and unless 0 < quantile < 1.
CopyCount CountCopies(const Tensor& samples, const Tensor& training, const Tensor& held_out,
                      double quantile = 0.05);

}  // namespace gas

#endif  // GAS_METRICS_COPIES_H_
