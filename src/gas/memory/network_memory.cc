#include "gas/memory/network_memory.h"

#include <algorithm>
#include <utility>

#include "gas/core/interrupt.h"
#include "gas/memory/working_peak.h"
#include "gas/models/batch_parallel.h"
#include "gas/models/network_input.h"

namespace gas {
namespace {

// Larger batches that are tried on a CPU: more samples tell better how the heap fills, and cost more time.
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

// What `measure` says of a larger batch. On a CPU it is a few samples. On another device, where libraries
// choose their algorithms and so their workspaces by the batch, it is the largest, halved until there is room
// for it.
template <class Measure>
auto OfLargerBatch(const Model& model, int64_t few, int64_t largest, Measure measure) {
  int64_t batch = model.device.is_cpu() ? few : largest;
  while (true) {
    try {
      return std::pair(batch, measure(batch));
    } catch (const c10::OutOfMemoryError&) {
      if (batch <= 2) throw;
      batch /= 2;
    }
  }
}

}  // namespace

int64_t BatchBytes::Of(int64_t batch, torch::Device device) const {
  return once * ConcurrentParts(batch, device) + per_sample * batch;
}

BatchBytes LineThrough(int64_t bytes_of_one, int64_t count, int64_t bytes_of_count) {
  if (bytes_of_count > count * bytes_of_one) return {.per_sample = bytes_of_count / count};
  const int64_t per_sample = std::max<int64_t>(0, (bytes_of_count - bytes_of_one) / (count - 1));
  return {.once = bytes_of_one - per_sample, .per_sample = per_sample};
}

void MakeFirstEvaluation(const Model& model, Passes passes) {
  if (model.device.is_cpu()) return;
  if (passes != Passes::kBackward) ForwardPeak(model, 1);
  if (passes != Passes::kForward && model.has_gradient) EvaluateWithGradients(model, 1, /*backward=*/true);
}

NetworkMemory MeasureNetwork(const Model& model, Passes passes, int64_t largest_batch) {
  const WholeBatchGuard whole;
  const bool larger = largest_batch > 1;
  NetworkMemory memory;
  if (passes != Passes::kBackward) {
    const int64_t one = ForwardPeak(model, 1);
    memory.forward = {.per_sample = one};
    if (larger) {
      const auto [count, bytes] = OfLargerBatch(model, kForwardBatch, largest_batch,
                                                [&](int64_t batch) { return ForwardPeak(model, batch); });
      memory.forward = LineThrough(one, count, bytes);
    }
  }
  if (passes != Passes::kForward && model.has_gradient) {
    const WithGradients one = EvaluateWithGradients(model, 1, /*backward=*/true);
    memory.kept = {.per_sample = one.kept};
    memory.backward = {.per_sample = one.peak - one.kept};
    if (!larger) return memory;
    const auto [count, more] = OfLargerBatch(model, kBackwardBatch, largest_batch, [&](int64_t batch) {
      return EvaluateWithGradients(model, batch, /*backward=*/true);
    });
    memory.kept = LineThrough(one.kept, count, more.kept);
    memory.backward = LineThrough(one.peak - one.kept, count, more.peak - more.kept);
  }
  return memory;
}

int64_t ActivationBytes(const Model& model) {
  const WholeBatchGuard whole;
  MakeFirstEvaluation(model, Passes::kBackward);
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
