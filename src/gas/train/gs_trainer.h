// One student with its optimiser and average: the Generalized Solver, and with an adversary the Generalized
// Adversarial Solver. What comes when (data, checkpoints, validation) is train/training_run.h's.
#ifndef GAS_TRAIN_GS_TRAINER_H_
#define GAS_TRAIN_GS_TRAINER_H_

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "gas/io/checkpoint.h"
#include "gas/schedule/denoiser.h"
#include "gas/student/student.h"
#include "gas/train/adversary.h"
#include "gas/train/distance.h"

namespace gas {

// In a checkpoint: GsTrainerOptions::recomputed of the run that wrote it. Another number gives the same
// gradients but for their last bits.
inline constexpr std::string_view kRecomputedKey = "recomputed";

struct GsTrainerOptions {
  int64_t iterations = 1000;
  double lr = 1e-3;
  bool cosine = false;  // lr falls to zero along a cosine over the iterations; otherwise it is constant
  double ema_decay = 0.999;
  double max_grad_norm = 1.0;
  // Evaluations whose activations are computed again in the backward pass (SampleOptions).
  int64_t recomputed = 0;
};

// What the student is compared with. All on the device of the denoiser.
struct StudentBatch {
  Tensor noise;   // [B,...] standard normal
  Tensor target;  // [B,...] the teacher's samples of it
  Condition condition;
  // The samples' places in the training set, for distances that keep what they know of the teacher; may be
  // empty.
  std::vector<int64_t> indices;
};

// What the adversarial part needs for one iteration.
struct AdversarialBatch {
  LabelledImages real;  // samples of the teacher, of other noises than the student's batch
  Condition condition;  // what those are conditioned on
  Tensor noise;  // fresh, like real.images, for the discriminator's fakes; undefined: it does not learn
  AugmentDraw augment;  // of the discriminator's images
};

// What the student minimises on a batch: distance + weight * adversarial.
struct StudentTerms {
  double distance = 0;
  std::optional<double> adversarial;  // nothing while its weight is 0
  double weight = 0;
};

// Gradients are computed and applied in two calls, so that those of several batches or processes can be added
// up in between. An iteration: the discriminator's (with an adversary, when it learns), then the student's
// (docs/math/gas.md).
class GsTrainer {
 public:
  GsTrainer(Student& student, std::shared_ptr<const Denoiser> denoiser, Distance distance,
            const GsTrainerOptions& options, std::shared_ptr<Adversary> adversary = nullptr);
  ~GsTrainer();

  // Adds the gradients of the discriminator's loss, on the student's samples of batch.noise and the
  // conditions of the other side of each pair. `share`: the batch's part of the whole.
  DiscriminatorStep ComputeDiscriminatorGradients(const AdversarialBatch& batch, double share = 1);
  // Returns the norm of the gradients that the discriminator's step was made with.
  double ApplyDiscriminatorGradients();

  // Adds the gradients of what the student minimises, times `share`, to those that its tensors have. Throws
  // Error(kNumeric) if the loss is not finite; nothing is added then.
  StudentTerms ComputeGradients(const StudentBatch& batch, const AdversarialBatch* adversarial = nullptr,
                                double share = 1);
  // Clips the gradients, makes a step of Adam (0.9, 0.999), updates the average, clears the gradients.
  // Returns their norm before clipping. Throws Error(kNumeric) if it is not finite; the student is as before.
  double ApplyGradients();

  int64_t iteration() const;                             // steps that were made
  const std::map<std::string, Tensor>& average() const;  // the result of training
  StepTable AverageTable() const;                        // the solver that it is
  std::map<std::string, Tensor> OptimiserState() const;  // NAME/exp_avg, NAME/exp_avg_sq, NAME/step

  const GsTrainerOptions& options() const;
  const Student& student() const;
  const Denoiser& denoiser() const;
  const Distance& distance() const;
  Adversary* adversary() const;  // null: none

  // Everything that changes. Load throws Error(kBadFile) for what does not fit this trainer.
  void Save(Checkpoint& file) const;
  void Load(const Checkpoint& file);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// How many iterations a checkpoint has made, at most `asked`. Throws Error(kBadFile) for any other number.
int64_t CheckIterations(const Checkpoint& file, int64_t asked);

}  // namespace gas

#endif  // GAS_TRAIN_GS_TRAINER_H_
