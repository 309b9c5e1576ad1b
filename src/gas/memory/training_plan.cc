#include "gas/memory/training_plan.h"

#include <algorithm>

#include <fmt/format.h>

#include "gas/core/error.h"

namespace gas {

TrainingPlan PlanForFreeMemory(int64_t evaluations, int64_t batch, int64_t activation_bytes_of_one,
                               int64_t free_bytes) {
  const int64_t bytes =
      std::max<int64_t>(1, batch * activation_bytes_of_one);  // of an evaluation of the batch
  const int64_t kept = std::min(evaluations, free_bytes / 2 / bytes);
  return {.evaluations = evaluations,
          .recomputed = evaluations - kept,
          .part = batch,
          .kept_bytes = kept * bytes};
}

TrainingPlan TrainingStep::Plan(int64_t part, int64_t kept) const {
  return {.evaluations = evaluations,
          .recomputed = evaluations - kept,
          .part = part,
          .kept_bytes = kept * model.network.kept.Of(part, model.device)};
}

int64_t TrainingStep::Bytes(const TrainingPlan& plan) const {
  return TrainingBytes(model, beside, plan.part, plan.kept());
}

TrainingPlan PlanForLimit(const TrainingStep& step, Activations activations, int64_t limit) {
  const int64_t least = activations == Activations::kKeep ? step.evaluations : 0;
  const int64_t most = activations == Activations::kRecompute ? 0 : step.evaluations;
  const int64_t part = LargestBatch(step.batch, 1, limit,
                                    [&](int64_t samples) { return step.Bytes(step.Plan(samples, least)); });
  int64_t kept = most;
  while (kept > least && step.Bytes(step.Plan(part, kept)) > limit) --kept;
  return step.Plan(part, kept);
}

std::string PlanText(const TrainingPlan& plan, int64_t batch) {
  std::string text = fmt::format("activations of {} of {} evaluations are kept, {}", plan.kept(),
                                 plan.evaluations, MemoryText(plan.kept_bytes));
  if (plan.recomputed > 0) text += "; the others are computed again";
  if (plan.part < batch) text += fmt::format("; {} of {} samples at once", plan.part, batch);
  return text;
}

}  // namespace gas
