// Inception score (Salimans et al. 2016, arXiv 1606.03498); docs/math/metrics.md.
#ifndef GAS_METRICS_INCEPTION_SCORE_H_
#define GAS_METRICS_INCEPTION_SCORE_H_

#include "gas/metrics/mean_deviation.h"

namespace gas {

// exp of the mean over a split of sum_c p_c log(p_c / q_c), p the class probabilities of a sample and q their
// mean over the split; split i of S holds rows i N / S to (i+1) N / S - 1, rounded down. logits [N,C], with
// or without a constant per row, so that logarithms of probabilities will do; computed in float64. Between 1
// and C. Throws Error(kBadOption) unless 1 <= S <= N, Error(kNumeric) for NaN.
MeanDeviation InceptionScore(const Tensor& logits, int64_t splits = 10);

}  // namespace gas

#endif  // GAS_METRICS_INCEPTION_SCORE_H_
