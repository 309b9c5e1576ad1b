// A score measured on several parts of a set.
#ifndef GAS_METRICS_MEAN_DEVIATION_H_
#define GAS_METRICS_MEAN_DEVIATION_H_

#include "gas/core/torch.h"

namespace gas {

struct MeanDeviation {
  double mean = 0;
  double deviation = 0;  // root mean square difference to the mean (divided by their number, not by one less)
};

// values [N], at least one.
inline MeanDeviation MeanDeviationOf(const Tensor& values) {
  const Tensor wide = values.to(torch::kFloat64);
  return {wide.mean().item<double>(), wide.std(/*unbiased=*/false).item<double>()};
}

}  // namespace gas

#endif  // GAS_METRICS_MEAN_DEVIATION_H_
