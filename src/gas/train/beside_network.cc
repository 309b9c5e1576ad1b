#include "gas/train/beside_network.h"

#include <algorithm>

#include "gas/memory/working_peak.h"
#include "gas/models/batch_parallel.h"
#include "gas/models/network_input.h"

namespace gas {
namespace {

// The most at once of a sample's distance with its backward pass.
int64_t DistancePeak(const Distance& distance, const Tensor& sample) {
  const Tensor student = sample.clone().requires_grad_();
  const WorkingPeak peak(sample.device());
  distance(student, sample, {0}).backward();
  return peak.bytes();
}

// An adversary that has made a step. Its weights, gradients and moments stay; the most beside them is for
// each sample of a step.
std::shared_ptr<Adversary> MeasuredAdversary(const AdversarySettings& settings, const Model& model,
                                             const LabelledImages& images, BesideNetwork& beside) {
  const WorkingPeak peak(model.device);
  std::shared_ptr<Adversary> adversary = MakeAdversary(settings, model, /*seed=*/0);
  adversary->ComputeGradients(images, images, /*augment=*/0);
  adversary->ApplyGradients();
  beside.held += std::max<int64_t>(0, peak.tensors());
  beside.alone_per_sample = std::max<int64_t>(0, peak.bytes() - peak.tensors());
  return adversary;
}

// The most at once of the student's term for a sample with its backward pass.
int64_t StudentTermPeak(Adversary& adversary, const LabelledImages& images) {
  const LabelledImages fake{images.images.clone().requires_grad_(), images.labels};
  const WorkingPeak peak(fake.images.device());
  adversary.StudentTerm(images, fake, /*augment=*/0).backward();
  return peak.bytes();
}

}  // namespace

BesideNetwork MeasureBesideNetwork(const Model& model, const Distance& distance, int64_t samples,
                                   uint64_t cache_bytes, const std::optional<AdversarySettings>& adversary) {
  const WholeBatchGuard whole;
  const torch::AutoGradMode with_gradient(true);
  const NetworkInput input = InputFor(model, 1);
  BesideNetwork beside{.per_sample = DistancePeak(distance, input.state)};
  const uint64_t of_one = distance.cached_bytes();
  beside.held = static_cast<int64_t>(std::min(cache_bytes, of_one * static_cast<uint64_t>(samples)));
  if (!adversary) return beside;
  const LabelledImages images{input.state, input.condition.labels};
  beside.per_sample += StudentTermPeak(*MeasuredAdversary(*adversary, model, images, beside), images);
  return beside;
}

}  // namespace gas
