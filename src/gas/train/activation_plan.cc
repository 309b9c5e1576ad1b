#include "gas/train/activation_plan.h"

#include <algorithm>

#include <fmt/format.h>

#include "gas/core/allocation_meter.h"
#include "gas/models/network_input.h"

namespace gas {

int64_t ActivationBytes(const Model& model) {
  const NetworkInput one = InputFor(model, 1);
  const Tensor state = one.state.requires_grad_();
  const torch::AutoGradMode with_gradient(true);
  const AllocationMeter meter;
  const Tensor output = model.denoiser->Predict(state, one.at, one.condition);
  return std::max<int64_t>(0, meter.live_bytes());
}

ActivationPlan PlanActivations(int64_t evaluations, int64_t batch, int64_t bytes_of_one, int64_t free_bytes) {
  const int64_t bytes = std::max<int64_t>(1, batch * bytes_of_one);  // of an evaluation of the batch
  const int64_t kept = std::min(evaluations, free_bytes / 2 / bytes);
  return {.evaluations = evaluations,
          .recomputed = evaluations - kept,
          .kept_bytes = kept * bytes,
          .free_bytes = free_bytes};
}

std::string ActivationText(const ActivationPlan& plan) {
  const auto gibibytes = [](int64_t bytes) { return static_cast<double>(bytes) / (int64_t{1} << 30); };
  std::string text =
      fmt::format("activations of {} of {} evaluations are kept, {:.2f} GiB of {:.1f} GiB free", plan.kept(),
                  plan.evaluations, gibibytes(plan.kept_bytes), gibibytes(plan.free_bytes));
  if (plan.recomputed > 0) text += "; the others are computed again";
  return text;
}

}  // namespace gas
