#include "gas/metrics/copies.h"

#include "gas/core/error.h"
#include "gas/metrics/neighbours.h"

namespace gas {
namespace {

struct Nearest {
  Tensor distances, rows;
};

Nearest NearestOf(const Tensor& queries, const Tensor& training) {
  std::vector<Tensor> distances, rows;
  ForEachDistanceBlock(queries, training, [&](const Tensor& block, int64_t) {
    const auto [distance, row] = block.min(1);
    distances.push_back(distance);
    rows.push_back(row);
  });
  return {torch::cat(distances), torch::cat(rows)};
}

double Quantile(const Tensor& values, double q) { return torch::quantile(values, q).item<double>(); }

}  // namespace

CopyCount CountCopies(const Tensor& samples, const Tensor& training, const Tensor& held_out,
                      double quantile) {
  GAS_CHECK(quantile > 0 && quantile < 1, Errc::kBadOption, "quantile = ", quantile, ", must be in (0, 1)");
  for (const Tensor& set : {samples, training, held_out}) {
    GAS_CHECK(set.dim() == 2 && set.size(0) > 0 && set.size(1) == samples.size(1), Errc::kBadOption,
              "rows of shape ", set.sizes(), ", must be [N, ", samples.size(-1), "] with N of at least 1");
  }
  const Nearest of_samples = NearestOf(samples, training), of_held_out = NearestOf(held_out, training);
  CopyCount count;
  count.distances = of_samples.distances;
  count.nearest = of_samples.rows;
  count.sample_median = Quantile(of_samples.distances, 0.5);
  count.held_out_median = Quantile(of_held_out.distances, 0.5);
  count.threshold = Quantile(of_held_out.distances, quantile);
  count.nearer = (of_samples.distances < count.threshold).sum().item<int64_t>();
  return count;
}

}  // namespace gas
