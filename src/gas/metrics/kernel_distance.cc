#include "gas/metrics/kernel_distance.h"

#include "gas/core/error.h"
#include "gas/core/interrupt.h"

namespace gas {
namespace {

void CheckSamples(const char* name, const Tensor& features) {
  GAS_CHECK(features.dim() == 2 && features.size(0) >= 2, Errc::kBadOption, "kernel distance: ", name,
            " of shape ", features.sizes(), ", must be [N, F] with N at least 2");
  GAS_CHECK(features.isfinite().all().item<bool>(), Errc::kNumeric, "kernel distance: not all of ", name,
            " are finite");
}

void CheckRows(const char* name, const Tensor& rows, int64_t size) {
  const int64_t least = rows.min().item<int64_t>(), most = rows.max().item<int64_t>();
  GAS_CHECK(least >= 0 && most < size, Errc::kBadOption, "kernel distance: subsets of rows ", least, " to ",
            most, " of ", name, ", must be in [0, ", size - 1, "]");
}

// Mean of k(a_i, b_j) over all pairs, or over those with i != j.
double MeanKernel(const Tensor& a, const Tensor& b, bool skip_diagonal, int64_t values_at_once) {
  torch::NoGradGuard no_grad;
  const int64_t step =
      std::max<int64_t>(1, static_cast<int64_t>(std::sqrt(static_cast<double>(values_at_once))));
  double sum = 0;
  for (int64_t row = 0; row < a.size(0); row += step) {
    const Tensor left = a.slice(0, row, row + step).to(torch::kFloat64) / static_cast<double>(a.size(1));
    for (int64_t column = 0; column < b.size(0); column += step) {
      CheckInterrupt();
      const Tensor right = b.slice(0, column, column + step).to(torch::kFloat64);
      Tensor values = left.mm(right.t()).add_(1).pow_(3);
      if (skip_diagonal && row == column) values.fill_diagonal_(0);
      sum += values.sum().item<double>();
    }
  }
  const double rows = static_cast<double>(a.size(0)), columns = static_cast<double>(b.size(0));
  return sum / (rows * (skip_diagonal ? columns - 1 : columns));
}

}  // namespace

double KernelDistance(const Tensor& x, const Tensor& y, int64_t values_at_once) {
  CheckSamples("x", x);
  CheckSamples("y", y);
  GAS_CHECK(x.size(1) == y.size(1), Errc::kBadOption, "kernel distance: features of ", x.size(1), " and ",
            y.size(1), " components, must be equal");
  return MeanKernel(x, x, true, values_at_once) + MeanKernel(y, y, true, values_at_once) -
         2 * MeanKernel(x, y, false, values_at_once);
}

MeanDeviation KernelDistanceOfSubsets(const Tensor& x, const Tensor& y, const Tensor& subsets) {
  GAS_CHECK(subsets.dim() == 3 && subsets.size(0) >= 1 && subsets.size(1) == 2 && subsets.size(2) >= 2,
            Errc::kBadOption, "kernel distance: subsets of shape ", subsets.sizes(), ", must be [S, 2, n]");
  CheckRows("x", subsets.select(1, 0), x.size(0));
  CheckRows("y", subsets.select(1, 1), y.size(0));
  std::vector<double> values;
  for (int64_t s = 0; s < subsets.size(0); ++s) {
    values.push_back(KernelDistance(x.index_select(0, subsets[s][0]), y.index_select(0, subsets[s][1])));
  }
  return MeanDeviationOf(torch::tensor(values, torch::kFloat64));
}

}  // namespace gas
