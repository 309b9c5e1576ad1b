// Which activations a training step keeps for its backward pass, which it computes again, and in how many
// parts it goes through its batch.
#ifndef GAS_MEMORY_TRAINING_PLAN_H_
#define GAS_MEMORY_TRAINING_PLAN_H_

#include <cstdint>
#include <string>

#include "gas/core/enum_names.h"
#include "gas/memory/run_memory.h"

namespace gas {

enum class Activations { kAuto, kKeep, kRecompute };
inline constexpr auto kActivationsNames = NamesOf<Activations>(
    "train.activations",
    {{Activations::kAuto, "auto", "keep what fits into half of the free memory, or into --memory"},
     {Activations::kKeep, "keep", "keep all: fastest, memory grows with the evaluations"},
     {Activations::kRecompute, "recompute", "keep none: half as much time again, least memory"}});

// How a step is made. Another plan gives the same gradients but for their last bits.
struct TrainingPlan {
  int64_t evaluations = 0;  // of a sample
  int64_t recomputed = 0;   // of these, as SampleOptions::recomputed
  int64_t part = 1;         // samples at once; the gradients of the parts of a batch add up
  int64_t kept_bytes = 0;   // activations of the other evaluations together, of a part

  int64_t kept() const { return evaluations - recomputed; }
};

// The whole batch at once; as many evaluations keep their activations as fit into half of the free memory,
// the other half being for what else a step needs. Where the free memory is not known, none.
TrainingPlan PlanForFreeMemory(int64_t evaluations, int64_t batch, int64_t activation_bytes_of_one,
                               int64_t free_bytes);

// A step that is to fit.
struct TrainingStep {
  ModelMemory model;  // with a backward pass
  BesideNetwork beside;
  int64_t evaluations = 1, batch = 1;

  TrainingPlan Plan(int64_t part, int64_t kept) const;
  // The most bytes that the run holds with this plan (run_memory.h).
  int64_t Bytes(const TrainingPlan& plan) const;
};

// A plan that takes no more than `limit` bytes: the largest part of the batch, halved so and so many times,
// that fits, and as many kept evaluations as fit then, if `activations` leaves that open. Throws
// Error(kBadOption) if one sample does not fit, naming what it takes.
TrainingPlan PlanForLimit(const TrainingStep& step, Activations activations, int64_t limit);

// "activations of 3 of 4 evaluations are kept, 1.20 GiB; the others are computed again; 8 of 24 samples at
// once".
std::string PlanText(const TrainingPlan& plan, int64_t batch);

}  // namespace gas

#endif  // GAS_MEMORY_TRAINING_PLAN_H_
