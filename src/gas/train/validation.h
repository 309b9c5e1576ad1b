// How close a student is to samples that it was not trained on.
#ifndef GAS_TRAIN_VALIDATION_H_
#define GAS_TRAIN_VALIDATION_H_

#include <optional>

#include "gas/schedule/denoiser.h"
#include "gas/solver/step_table.h"
#include "gas/train/distance.h"
#include "gas/train/training_pairs.h"

namespace gas {

struct Validation {
  double distance = 0;  // mean over all pairs, to the teacher's sample of the same noise
  // Share of teacher samples near which there is one of the student (metrics/prdc.h, k = 5, on the samples
  // themselves); nothing if it was not asked for, or the pairs are too few.
  std::optional<double> coverage;
};

struct ValidationOptions {
  int64_t batch = 24;
  torch::Device device = torch::kCPU;
  bool coverage = false;  // keeps all samples in memory
};

// Touches no random state, records no gradients. Throws Error(kNumeric) for samples that are not finite.
Validation Validate(const StepTable& table, const Denoiser& denoiser, const Distance& distance,
                    const TrainingPairs& pairs, const ValidationOptions& options);

}  // namespace gas

#endif  // GAS_TRAIN_VALIDATION_H_
