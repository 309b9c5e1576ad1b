#include "gas/metrics/frechet.h"

#include "gas/core/error.h"
#include "gas/io/image_set.h"
#include "gas/io/png.h"

namespace gas {
namespace {

Tensor SymmetricRoot(const Tensor& matrix) {
  const auto [values, vectors] = torch::linalg_eigh(matrix, "L");
  return vectors.mm((values.clamp_min(0).sqrt().unsqueeze(1) * vectors.t()));
}

template <class Use>
void ForEachBatch(const Tensor& images, int64_t batch, Use&& use) {
  torch::NoGradGuard no_grad;
  for (int64_t begin = 0; begin < images.size(0); begin += batch) {
    const int64_t end = std::min(images.size(0), begin + batch);
    use(ToSigned(ToBytes(images.slice(0, begin, end))), begin, end);
  }
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

ImageFeatures FeaturesOfImages(Classifier& network, const Tensor& images, int64_t batch) {
  std::vector<Tensor> features, logits;
  ForEachBatch(images, batch, [&](const Tensor& part, int64_t, int64_t) {
    const Classifier::Output output = network.forward(part);
    features.push_back(output.features);
    logits.push_back(output.logits);
  });
  return {torch::cat(features), torch::cat(logits)};
}

FeatureStatistics ImageStatistics(Classifier& network, const Tensor& images, int64_t batch) {
  StatisticsAccumulator statistics(network.feature_count());
  ForEachBatch(images, batch,
               [&](const Tensor& part, int64_t, int64_t) { statistics.Add(network.forward(part).features); });
  return statistics.Finish();
}

double LabelAgreement(Classifier& network, const Tensor& images, const Tensor& labels, int64_t batch) {
  int64_t right = 0;
  ForEachBatch(images, batch, [&](const Tensor& part, int64_t begin, int64_t end) {
    right += (network.forward(part).logits.argmax(1) == labels.slice(0, begin, end)).sum().item<int64_t>();
  });
  return static_cast<double>(right) / static_cast<double>(std::max<int64_t>(1, images.size(0)));
}

}  // namespace gas
