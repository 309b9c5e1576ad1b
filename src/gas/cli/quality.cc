#include "gas/cli/quality.h"

#include <fmt/format.h>

namespace gas::cli {
namespace {

bool SameShape(const Tensor& images, const ClassifierConfig& c) {
  return images.size(1) == c.channels && images.size(2) == c.resolution && images.size(3) == c.resolution;
}

}  // namespace

Quality MeasureQuality(const std::string& label, int64_t nfe, const Tensor& images, const Tensor& teacher,
                       const Tensor& labels, const FeatureModel& features) {
  Quality q{.label = label, .nfe = nfe};
  if (teacher.defined()) q.distance = (images - teacher).square().mean().item<double>();
  if (!SameShape(images, features.network->config())) return q;
  q.frechet = FrechetDistance(ImageStatistics(*features.network, images), {features.data_mean, features.data_covariance});
  if (labels.defined()) q.agreement = LabelAgreement(*features.network, images, labels);
  return q;
}

std::string QualityTable(const std::vector<Quality>& rows) {
  std::string text =
      "| solver | evaluations | distance to teacher | Fréchet distance | class as asked |\n|---|---|---|---|---|\n";
  for (const Quality& q : rows) {
    text += fmt::format("| {} | {} | {} | {} | {} |\n", q.label, q.nfe,
                        q.distance < 0 ? "-" : fmt::format("{:.5f}", q.distance),
                        q.frechet < 0 ? "-" : fmt::format("{:.4f}", q.frechet),
                        q.agreement < 0 ? "-" : fmt::format("{:.1f} %", 100 * q.agreement));
  }
  return text;
}

}  // namespace gas::cli
