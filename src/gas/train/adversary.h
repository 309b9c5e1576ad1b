// The adversarial part of GAS (arXiv 2510.17699): the discriminator beside a student, its optimiser, and
// signs of trouble. docs/math/gas.md
#ifndef GAS_TRAIN_ADVERSARY_H_
#define GAS_TRAIN_ADVERSARY_H_

#include <memory>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "gas/core/enum_names.h"
#include "gas/io/checkpoint.h"
#include "gas/models/discriminator.h"
#include "gas/train/adversarial_loss.h"
#include "gas/train/trouble_monitor.h"

namespace gas {

// What a run does when it sees a sign of trouble.
enum class OnTrouble {
  kWarn,      // says so and goes on
  kStop,      // ends with Error(kNumeric); the last checkpoint is kept
  kRollBack,  // returns to the last checkpoint, which was in order, and goes on with half the weight and step
              // size
};
inline constexpr auto kOnTroubleNames = NamesOf<OnTrouble>(
    "adversary.on_trouble",
    {{OnTrouble::kWarn, "warn", "say so and go on"},
     {OnTrouble::kStop, "stop", "end and keep the last checkpoint"},
     {OnTrouble::kRollBack, "rollback", "go on from the last checkpoint with half the weight"}});

struct AdversaryOptions {
  AdversarialOptions loss = {};
  double weight = 0.1;  // of the adversarial term in what the student minimises
  double lr = 1e-5;     // of the discriminator's Adam (0.9, 0.999)
  int64_t delay = 0;    // iterations in which the discriminator learns alone
  int64_t ramp = 0;     // iterations after them over which the weight rises linearly to its value
  int64_t every = 1;    // iterations between steps of the discriminator
  OnTrouble on_trouble = OnTrouble::kWarn;

  nlohmann::json ToJson() const;
};

struct DiscriminatorStep {
  double loss = 0, adversarial = 0;
  double r1 = 0, r2 = 0;         // means over the batch
  double real_above_fake = 0.5;  // share of pairs with D(real) > D(fake)
  double grad_norm = 0;          // of the step that was made with them
};

class Adversary {
 public:
  // Throws Error(kBadOption) for options outside their ranges.
  Adversary(std::shared_ptr<Discriminator> discriminator, const AdversaryOptions& options);
  ~Adversary();

  const AdversaryOptions& options() const;
  Discriminator& discriminator();

  // Whether the discriminator learns in iteration `iteration` (0-based).
  bool LearnsAt(int64_t iteration) const;
  // The weight of the student's term in that iteration: 0 during the delay.
  double WeightAt(int64_t iteration) const;

  // Adds the gradients of the discriminator's loss on this batch to those that it has, times `share`: the
  // batch's part of the whole, so that those of several batches add up to the gradient of their mean.
  // fake.images are constants. `augment`: of both. Throws Error(kNumeric) when the loss is not
  // finite; nothing is added then.
  DiscriminatorStep ComputeGradients(const LabelledImages& real, const LabelledImages& fake,
                                     const AugmentDraw& augment, double share = 1);
  // Makes a step of Adam with the gradients, and clears them. Returns their norm.
  double ApplyGradients();
  // What the student minimises, before its weight; [] differentiable in fake.images.
  Tensor StudentTerm(const LabelledImages& real, const LabelledImages& fake, const AugmentDraw& augment);

  // Signs of trouble, judged by the discriminator's steps; the run adds coverage.
  TroubleMonitor& monitor();
  // The factor of weight and step size, 1 at first.
  double relaxed() const;
  // Sets it, and forgets the trouble: after a return to an earlier checkpoint.
  void Relax(double relaxed);

  // Everything that changes: discriminator, optimiser, memory of trouble, weight.
  void Save(Checkpoint& file) const;
  // The state after so many iterations. Throws Error(kBadFile) for a file without it, or with a part of it.
  void Load(const Checkpoint& file, int64_t iterations);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gas

#endif  // GAS_TRAIN_ADVERSARY_H_
