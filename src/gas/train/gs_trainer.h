// Training of a student against teacher samples: the Generalized Solver, and with an adversary the
// Generalized Adversarial Solver.
#ifndef GAS_TRAIN_GS_TRAINER_H_
#define GAS_TRAIN_GS_TRAINER_H_

#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "gas/schedule/denoiser.h"
#include "gas/student/student.h"
#include "gas/teacher/teacher.h"
#include "gas/train/adversary.h"
#include "gas/train/distance.h"

namespace gas {

struct GsTrainOptions {
  std::filesystem::path run_folder;  // checkpoint.safetensors is kept here; empty: none is written
  int64_t iterations = 1000;
  int64_t batch = 24;
  double lr = 1e-3;
  bool cosine = false;  // lr falls to zero along a cosine; otherwise it is constant
  double ema_decay = 0.999;
  double max_grad_norm = 1.0;
  uint64_t seed = 0;                   // of the data order
  bool gradient_checkpointing = true;  // memory does not grow with the number of evaluations
  int64_t validate_every = 0;          // 0: only at the end
  int64_t checkpoint_every = 100;
  torch::Device device = torch::kCPU;
};

struct GsStep {
  int64_t iteration = 0;           // 1-based
  double loss = 0, grad_norm = 0;  // loss: the distance alone
  double validation = -1;          // of the averaged student on held-out samples, when it was measured now
  // With an adversary:
  double adversarial = 0, weight = 0;              // the student's term and its weight in this iteration
  std::optional<DiscriminatorStep> discriminator;  // when it learned now
  double coverage =
      -1;  // share of held-out teacher samples near which the averaged student has one, when measured now
  std::string trouble;  // a sign of trouble, said when it is first seen and now and then while it lasts
};

// Samples in the order of training; `indices` are in [0, size).
struct TrainingPairs {
  int64_t size = 0;
  std::function<Samples(const std::vector<int64_t>& indices)> read;
};
TrainingPairs PairsOf(const TeacherData& data);  // which must outlive the pairs
TrainingPairs PairsOf(Samples samples);

// What the adversarial part needs for one iteration.
struct AdversarialBatch {
  LabelledImages real;  // samples of the teacher, of other noises than the batch's
  Tensor noise;  // fresh, like real.images, for the discriminator's fakes; undefined: it does not learn now
  uint64_t seed = 0;  // of augmentations
};

// One student with its optimiser and average. Each step: student samples, distance, backward, gradient norm
// clipped, Adam (0.9, 0.999), average updated. With an adversary the discriminator learns first, on the
// student's samples from fresh noises and fresh conditions, then the student's samples of the batch are
// compared with teacher samples of other noises (docs/math/gas.md).
class GsTrainer {
 public:
  GsTrainer(Student& student, std::shared_ptr<const Denoiser> denoiser, Distance distance,
            const GsTrainOptions& options, std::shared_ptr<Adversary> adversary = nullptr);
  ~GsTrainer();

  // One iteration on this batch. `indices`: its samples' places in the training set, for distances that keep
  // what they know of the teacher. Throws Error(kNumeric) if loss or gradient are not finite; the student is
  // as before.
  GsStep Step(const Tensor& noise, const Tensor& target, const Condition& condition,
              const std::vector<int64_t>& indices = {}, const AdversarialBatch* adversarial = nullptr);

  // Runs to options.iterations, from the checkpoint in the run folder if there is one. A killed run that is
  // started again ends with the same bits on a CPU. Validation never touches what training computes, unless
  // trouble that it shows is to be acted on.
  void Run(const TrainingPairs& training, const TrainingPairs& validation,
           const std::function<void(const GsStep&)>& report);

  struct Validation {
    double distance = 0;  // mean, of the averaged student to the teacher
    double coverage =
        -1;  // of the teacher's samples (metrics/prdc.h, k = 5, on the samples themselves); -1 if too few
  };
  Validation Validate(const TrainingPairs& pairs) const;

  int64_t iteration() const;
  const std::map<std::string, Tensor>& average() const;  // the result of training
  std::map<std::string, Tensor> OptimiserState() const;  // NAME/exp_avg, NAME/exp_avg_sq, NAME/step

 private:
  void LearnDiscriminator(const AdversarialBatch& batch, GsStep& step);
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gas

#endif  // GAS_TRAIN_GS_TRAINER_H_
