#include "gas/train/gs_trainer.h"

#include "gas/solver/registry.h"
#include "gas/solver/sampler.h"
#include "support/expect.h"
#include "support/gmm.h"
#include "support/same_tensors.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

using testing::ExpectSame;
using testing::SameBits;

// A small problem with a known answer: teacher samples of a Gaussian by its exact flow.
class GsTraining : public ::testing::Test {
 protected:
  GsTraining() {
    torch::manual_seed(9);
    const Tensor noise = torch::randn({40, 2, 3, 3}, torch::kFloat64);
    samples_ = {noise, network_->Flow(*schedule_, noise, 1.0, 1e-3), {}, {}, {}};
  }

  // Trains a fresh student to `iterations`; the run folder may hold a checkpoint.
  std::map<std::string, Tensor> Train(int64_t iterations, GsTrainOptions options,
                                      std::vector<GsStep>* steps = nullptr) {
    options.iterations = iterations;
    options.batch = 12;
    options.lr = 5e-3;
    Student student({.steps = 3}, schedule_);
    GsTrainer trainer(student, network_, MakeDistance("l2"), options);
    trainer.Run(PairsOf(samples_), PairsOf(samples_), [&](const GsStep& step) {
      if (steps != nullptr) steps->push_back(step);
    });
    auto all = trainer.average();
    for (const auto& [name, value] : student.parameters()) all["raw/" + name] = value.detach().clone();
    return all;
  }

  SchedulePtr schedule_ = VpLinearSchedule();
  std::shared_ptr<testing::GaussianDenoiser> network_ = std::make_shared<testing::GaussianDenoiser>(0.3, 0.5);
  Samples samples_;
};

TEST_F(GsTraining, ComesMuchCloserThanItsStart) {
  std::vector<GsStep> steps;
  Train(150, {.validate_every = 50}, &steps);
  EXPECT_LT(steps.back().validation, steps.front().loss / 10);
  EXPECT_EQ(steps.back().iteration, 150);
}

TEST_F(GsTraining, KilledRunContinuesToTheSameBits) {
  const testing::TempFolder whole("gs_whole"), broken("gs_broken");
  const auto expected = Train(30, {.run_folder = whole.path(), .checkpoint_every = 7});
  // A run that dies after iteration 17 leaves the checkpoint of iteration 14.
  struct Killed {};
  GsTrainOptions options{
      .run_folder = broken.path(), .iterations = 30, .batch = 12, .lr = 5e-3, .checkpoint_every = 7};
  Student student({.steps = 3}, schedule_);
  GsTrainer trainer(student, network_, MakeDistance("l2"), options);
  EXPECT_THROW(trainer.Run(PairsOf(samples_), {},
                           [](const GsStep& step) {
                             if (step.iteration == 17) throw Killed();
                           }),
               Killed);
  std::vector<GsStep> steps;
  ExpectSame(Train(30, {.run_folder = broken.path(), .checkpoint_every = 7}, &steps), expected);
  EXPECT_EQ(steps.front().iteration, 15);
}

TEST_F(GsTraining, ValidationDoesNotChangeWhatIsTrained) {
  ExpectSame(Train(20, {.validate_every = 1}), Train(20, {.validate_every = 0}));
}

TEST_F(GsTraining, GradientCheckpointingDoesNotChangeWhatIsTrained) {
  const auto with = Train(10, {.gradient_checkpointing = true}),
             without = Train(10, {.gradient_checkpointing = false});
  for (const auto& [name, value] : with)
    EXPECT_TRUE(testing::Close(value, without.at(name), 0, 1e-12)) << name;
}

TEST_F(GsTraining, RefusesCheckpointsOfAnotherStudent) {
  const testing::TempFolder folder("gs_other");
  Train(2, {.run_folder = folder.path()});
  Student student({.steps = 5}, schedule_);
  GsTrainer trainer(student, network_, MakeDistance("l2"),
                    {.run_folder = folder.path(), .iterations = 3, .batch = 12});
  EXPECT_ERROR(trainer.Run(PairsOf(samples_), {}, nullptr), Errc::kBadFile, "is of a student");
}

TEST_F(GsTraining, NotANumberStopsWithAMessageAndKeepsTheStudent) {
  Samples bad = samples_;
  bad.images = torch::full_like(bad.images, NAN);
  Student student({.steps = 3}, schedule_);
  const Tensor before = student.parameters().at("theta").detach().clone();
  GsTrainer trainer(student, network_, MakeDistance("l2"), {.run_folder = {}, .iterations = 3, .batch = 12});
  EXPECT_ERROR(trainer.Run(PairsOf(bad), {}, nullptr), Errc::kNumeric, "the loss is nan at iteration 1");
  EXPECT_TRUE(SameBits(student.parameters().at("theta").detach(), before));
}

}  // namespace
}  // namespace gas
