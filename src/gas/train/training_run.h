// The run of a trainer over teacher samples: data order, validation, checkpoints, report.
#ifndef GAS_TRAIN_TRAINING_RUN_H_
#define GAS_TRAIN_TRAINING_RUN_H_

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "gas/io/fingerprint.h"
#include "gas/train/data_order.h"
#include "gas/train/gs_trainer.h"
#include "gas/train/training_pairs.h"
#include "gas/train/trouble_policy.h"
#include "gas/train/validation.h"

namespace gas {

struct TrainingRunOptions {
  std::filesystem::path folder;  // checkpoint.safetensors is kept here; empty: none is written
  int64_t batch = 24;
  int64_t part = 0;            // samples of a batch that are computed at once; their gradients add up. 0: all
  uint64_t seed = 0;           // of the data order and of the adversary's noises
  int64_t validate_every = 0;  // iterations; 0: only at the end
  int64_t checkpoint_every = 100;
  torch::Device device = torch::kCPU;
  // What decides the result beside the trainer, the student and the options above: the model, the data.
  Fingerprint fingerprint = Fingerprint::object();
};

// One iteration.
struct GsStep {
  int64_t iteration = 0;             // 1-based
  double loss = 0, grad_norm = 0;    // loss: the distance alone
  std::optional<double> validation;  // of the averaged student on held-out samples, when measured now
  // With an adversary:
  std::optional<double> adversarial;               // the student's term, unless its weight is 0
  double weight = 0;                               // of that term in this iteration
  std::optional<DiscriminatorStep> discriminator;  // when it learned now
  std::optional<double> coverage;                  // of the averaged student, when measured now
  std::optional<std::string> trouble;  // said when it is first seen and now and then while it lasts
};

// In a checkpoint: TrainingRunOptions::part of the run that wrote it. Another number gives the same gradients
// but for their last bits.
inline constexpr std::string_view kPartKey = "part";

// The checkpoint of a run that is kept in `folder`.
std::filesystem::path CheckpointIn(const std::filesystem::path& folder);

// What decides the result of such a run over `samples` training samples, if `start` is the student before it.
// `adversary`: null for none.
Fingerprint FingerprintOf(const Student& start, const GsTrainerOptions& trainer,
                          const TrainingRunOptions& run, const AdversaryOptions* adversary, int64_t samples);

class TrainingRun {
 public:
  // The trainer, which must outlive the run, has made no step yet. Throws Error(kBadOption) for options
  // outside their ranges.
  TrainingRun(GsTrainer& trainer, const TrainingRunOptions& options);

  // Runs to the trainer's number of iterations, from the checkpoint in the folder if there is one; it may ask
  // for more iterations than that run did. A killed run that is started again ends with the same bits on a
  // CPU. Validation never touches what training computes, unless trouble that it shows is to be acted on.
  // Throws Error(kBadFile) for the checkpoint of another run, which is left as it is, Error(kNumeric), and,
  // once a checkpoint is written, what CheckInterrupt throws.
  void Run(const TrainingPairs& training, const TrainingPairs& validation,
           const std::function<void(const GsStep&)>& report);

  // Of the averaged student, without coverage unless there is an adversary.
  Validation Validate(const TrainingPairs& pairs) const;

  // Evaluations of the network that Run made so far, each of one sample: forwards; a backward pass counts as
  // two, and where activations are not kept the forward pass is made twice; the discriminator's fakes; and
  // validation. A roll-back takes none of them back. Those of a run that is gone on with count, but for what
  // it made after its checkpoint.
  int64_t evaluations() const { return evaluations_; }

 private:
  // Takes the fingerprint, and continues from the checkpoint if there is one.
  void Begin(int64_t samples);
  // One iteration on the next batch.
  GsStep TrainOn(const TrainingPairs& training, DataOrder& order, DataOrder& others);
  // Adds up the gradients of the parts of a batch; what is returned holds for the whole batch.
  StudentTerms StudentGradients(const StudentBatch& batch, const AdversarialBatch* adversarial);
  DiscriminatorStep DiscriminatorGradients(const AdversarialBatch& batch);
  void BetweenPhases() const;
  StudentBatch NextBatch(const TrainingPairs& training, DataOrder& order) const;
  AdversarialBatch NextAdversarialBatch(const TrainingPairs& training, DataOrder& others) const;
  bool IsDue(int64_t every) const;
  void ValidateNow(const TrainingPairs& validation, GsStep& step);
  int64_t part() const { return options_.part > 0 ? options_.part : options_.batch; }
  int64_t nfe() const { return trainer_.student().config().steps; }
  // True if it returned to the last checkpoint.
  bool ActOnTrouble(GsStep& step);
  void Save() const;
  void Load();

  GsTrainer& trainer_;
  TrainingRunOptions options_;
  Fingerprint fingerprint_;
  int64_t evaluations_ = 0;
};

}  // namespace gas

#endif  // GAS_TRAIN_TRAINING_RUN_H_
