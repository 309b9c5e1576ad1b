#include "gas/metrics/frechet.h"

#include "gas/core/error.h"

namespace gas {
namespace {

Tensor SymmetricRoot(const Tensor& matrix) {
  const auto [values, vectors] = torch::linalg_eigh(matrix, "L");
  return vectors.mm((values.clamp_min(0).sqrt().unsqueeze(1) * vectors.t()));
}

}  // namespace

StatisticsAccumulator::StatisticsAccumulator(int64_t features)
    : sum_(torch::zeros({features}, torch::kFloat64)),
      outer_(torch::zeros({features, features}, torch::kFloat64)) {}

void StatisticsAccumulator::Add(const Tensor& features) {
  const Tensor rows = features.detach().to(torch::kCPU, torch::kFloat64);
  if (rows.size(0) == 0) return;
  if (count_ == 0) shift_ = rows.mean(0);
  const Tensor centred = rows - shift_;
  sum_ += centred.sum(0);
  outer_ += centred.t().mm(centred);
  count_ += rows.size(0);
}

FeatureStatistics StatisticsAccumulator::Finish(Divisor divisor) const {
  GAS_CHECK(count_ >= 2, Errc::kBadOption, "statistics of ", count_, " samples, must be at least 2");
  const double n = static_cast<double>(count_);
  const Tensor mean = sum_ / n;
  return {shift_ + mean, (outer_ - n * mean.outer(mean)) / (divisor == Divisor::kSamples ? n : n - 1)};
}

double FrechetDistance(const FeatureStatistics& a, const FeatureStatistics& b) {
  const Tensor root = SymmetricRoot(a.covariance);
  // S1 S2 has the eigenvalues of the symmetric S1^(1/2) S2 S1^(1/2).
  const Tensor values = torch::linalg_eigvalsh(root.mm(b.covariance).mm(root), "L");
  const Tensor traces = a.covariance.trace() + b.covariance.trace() - 2 * values.clamp_min(0).sqrt().sum();
  return std::max(0.0, ((a.mean - b.mean).square().sum() + traces).item<double>());
}

FeatureStatistics StatisticsOf(const Tensor& features) {
  StatisticsAccumulator statistics(features.size(1));
  statistics.Add(features);
  return statistics.Finish();
}

}  // namespace gas
