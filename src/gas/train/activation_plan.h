// Which activations a training step keeps for its backward pass, and which it computes again.
#ifndef GAS_TRAIN_ACTIVATION_PLAN_H_
#define GAS_TRAIN_ACTIVATION_PLAN_H_

#include <cstdint>
#include <string>

#include "gas/core/enum_names.h"
#include "gas/models/model.h"

namespace gas {

enum class Activations { kAuto, kKeep, kRecompute };
inline constexpr auto kActivationsNames = NamesOf<Activations>(
    "train.activations",
    {{Activations::kAuto, "auto", "keep what fits into half of the free memory"},
     {Activations::kKeep, "keep", "keep all: fastest, memory grows with the evaluations"},
     {Activations::kRecompute, "recompute", "keep none: half as much time again, least memory"}});

struct ActivationPlan {
  int64_t evaluations = 0;  // of a sample
  int64_t recomputed = 0;   // of these, as SampleOptions::recomputed
  int64_t kept_bytes = 0;   // by the others together, of a whole batch
  int64_t free_bytes = 0;   // of the device when it was asked

  int64_t kept() const { return evaluations - recomputed; }
};

// Bytes that the backward pass of one evaluation of one sample needs, measured by making one.
int64_t ActivationBytes(const Model& model);

// As many evaluations keep their activations as fit into half of the free memory; the other half is for what
// else a step needs. Where the free memory is not known, none.
ActivationPlan PlanActivations(int64_t evaluations, int64_t batch, int64_t bytes_of_one, int64_t free_bytes);

// "activations of 3 of 4 evaluations are kept, 1.2 GiB of 4.8 GiB free; the others are computed again"
std::string ActivationText(const ActivationPlan& plan);

}  // namespace gas

#endif  // GAS_TRAIN_ACTIVATION_PLAN_H_
