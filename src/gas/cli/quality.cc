#include "gas/cli/quality.h"

#include <fmt/format.h>

namespace gas::cli {

Quality MeasureQuality(const std::string& label, int64_t nfe, const Tensor& images, const Tensor& teacher,
                       const Tensor& labels, const FeatureModel& features) {
  Quality q{.label = label, .nfe = nfe};
  if (teacher.defined()) q.distance = (images - teacher).square().mean().item<double>();
  q.frechet = FrechetDistance(ImageStatistics(*features.network, images), {features.data_mean, features.data_covariance});
  if (labels.defined()) q.agreement = LabelAgreement(*features.network, images, labels);
  return q;
}

std::string QualityTable(const std::vector<Quality>& rows) {
  std::string text =
      "| solver | evaluations | distance to teacher | Fréchet distance | class as asked |\n|---|---|---|---|---|\n";
  for (const Quality& q : rows) {
    text += fmt::format("| {} | {} | {} | {:.4f} | {:.1f} % |\n", q.label, q.nfe,
                        q.distance < 0 ? "-" : fmt::format("{:.5f}", q.distance), q.frechet, 100 * q.agreement);
  }
  return text;
}

}  // namespace gas::cli
