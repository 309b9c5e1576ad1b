#include "gas/memory/network_memory.h"

#include <algorithm>

#include "gas/core/interrupt.h"
#include "gas/memory/working_peak.h"
#include "gas/models/batch_parallel.h"
#include "gas/models/network_input.h"

namespace gas {
namespace {

// Larger batches that are tried: more samples tell better how the heap fills, and cost more time.
constexpr int64_t kForwardBatch = 4, kBackwardBatch = 2;

int64_t ForwardPeak(const Model& model, int64_t batch) {
  const torch::NoGradGuard no_grad;
  const NetworkInput input = InputFor(model, batch);
  CheckInterrupt();
  const WorkingPeak peak(model.device);
  model.denoiser->Predict(input.state, input.at, input.condition);
  return peak.bytes();
}

struct WithGradients {
  int64_t kept = 0, peak = 0;
};

WithGradients EvaluateWithGradients(const Model& model, int64_t batch, bool backward) {
  const NetworkInput input = InputFor(model, batch);
  const Tensor state = input.state.requires_grad_();
  const torch::AutoGradMode with_gradient(true);
  CheckInterrupt();
  const WorkingPeak peak(model.device);
  const Tensor output = model.denoiser->Predict(state, input.at, input.condition);
  const int64_t kept = std::max<int64_t>(0, peak.tensors());
  if (backward) output.sum().backward();
  return {kept, peak.bytes()};
}

}  // namespace

int64_t BatchBytes::Of(int64_t batch, torch::Device device) const {
  return once * ConcurrentParts(batch, device) + per_sample * batch;
}

BatchBytes LineThrough(int64_t bytes_of_one, int64_t count, int64_t bytes_of_count) {
  const int64_t slope = (bytes_of_count - bytes_of_one) / (count - 1);
  const int64_t per_sample = std::clamp<int64_t>(slope, 0, bytes_of_one);
  return {.once = bytes_of_one - per_sample, .per_sample = per_sample};
}

NetworkMemory MeasureNetwork(const Model& model, Passes passes, int64_t largest_batch) {
  const WholeBatchGuard whole;
  const bool larger = largest_batch > 1;
  NetworkMemory memory;
  if (passes != Passes::kBackward) {
    const int64_t one = ForwardPeak(model, 1);
    memory.forward = larger ? LineThrough(one, kForwardBatch, ForwardPeak(model, kForwardBatch))
                            : BatchBytes{.per_sample = one};
  }
  if (passes != Passes::kForward && model.has_gradient) {
    const WithGradients one = EvaluateWithGradients(model, 1, /*backward=*/true);
    memory.kept = {.per_sample = one.kept};
    memory.backward = {.per_sample = one.peak - one.kept};
    if (!larger) return memory;
    const WithGradients few = EvaluateWithGradients(model, kBackwardBatch, /*backward=*/true);
    memory.kept = LineThrough(one.kept, kBackwardBatch, few.kept);
    memory.backward = LineThrough(one.peak - one.kept, kBackwardBatch, few.peak - few.kept);
  }
  return memory;
}

int64_t ActivationBytes(const Model& model) {
  const WholeBatchGuard whole;
  return EvaluateWithGradients(model, 1, /*backward=*/false).kept;
}

DecoderMemory MeasureDecoder(const Model& model) {
  const WholeBatchGuard whole;
  const Tensor state = InputFor(model, 1).state;
  CheckInterrupt();
  const WorkingPeak peak(model.device);
  const Tensor image = ImagesOf(model, state);
  return {.working = peak.bytes(), .image = static_cast<int64_t>(image.nbytes())};
}

}  // namespace gas
