// Training with an adversary: exact continuation, independence of evaluation, and what is done about trouble.
#include "gas/models/r3gan/discriminator.h"
#include "gas/train/training_run.h"
#include "support/expect.h"
#include "support/gmm.h"
#include "support/row_counting_denoiser.h"
#include "support/same_tensors.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

using testing::ExpectSame;
using testing::SameBits;

// Scores the mean of a sample, times a gain: its gradient penalty is gain^2 / size, and at a large gain every
// pair is told apart.
class MeanDiscriminator : public Discriminator {
 public:
  explicit MeanDiscriminator(double gain) { gain_ = register_parameter("gain", Scalar(gain)); }
  Tensor forward(const Tensor& images, const Tensor&) override { return gain_ * images.flatten(1).mean(1); }

 private:
  Tensor gain_;
};

class GasTraining : public ::testing::Test {
 protected:
  GasTraining() {
    torch::manual_seed(9);
    const Tensor noise = torch::randn({40, 2, 3, 3}, torch::kFloat64);
    samples_ = {noise, network_->Flow(*schedule_, noise, 1.0, 1e-3), torch::arange(40).remainder(3), {}, {}};
  }

  static std::shared_ptr<Adversary> SmallAdversary(AdversaryOptions options = {}) {
    torch::manual_seed(4);
    const auto network = std::make_shared<r3gan::R3ganDiscriminator>(r3gan::ConfigFor(2, 3, 8));
    network->to(torch::kFloat64);
    options.lr = 1e-3;
    return std::make_shared<Adversary>(network, options);
  }

  // Everything that training changes, after `iterations`; the run folder may hold a checkpoint.
  std::map<std::string, Tensor> Train(int64_t iterations, TrainingRunOptions options,
                                      const std::shared_ptr<Adversary>& adversary,
                                      std::vector<GsStep>* steps = nullptr,
                                      std::optional<int64_t> die_at = std::nullopt) {
    struct Killed {};
    options.batch = 8;
    Student student({.steps = 3}, schedule_);
    GsTrainer trainer(student, network_, MakeDistance("l2"), {.iterations = iterations, .lr = 5e-3},
                      adversary);
    TrainingRun run(trainer, options);
    try {
      run.Run(PairsOf(samples_), PairsOf(samples_), [&](const GsStep& step) {
        if (steps != nullptr) steps->push_back(step);
        if (step.iteration == die_at) throw Killed();
      });
    } catch (const Killed&) {
    }
    auto all = trainer.average();
    for (const auto& [name, value] : student.parameters()) all["raw/" + name] = value.detach().clone();
    for (const auto& item : adversary->discriminator().named_parameters()) {
      all["discriminator/" + item.key()] = item.value().detach().clone();
    }
    return all;
  }

  SchedulePtr schedule_ = VpLinearSchedule();
  std::shared_ptr<testing::GaussianDenoiser> network_ = std::make_shared<testing::GaussianDenoiser>(0.3, 0.5);
  Samples samples_;
};

TEST_F(GasTraining, KilledRunContinuesToTheSameBits) {
  const testing::TempFolder whole("gas_whole"), broken("gas_broken");
  AdversaryOptions options;
  options.loss.augment = kDiffAugment;
  options.ramp = 10;
  const auto expected = Train(15, {.folder = whole.path(), .checkpoint_every = 4}, SmallAdversary(options));
  // Dies after iteration 11: the checkpoint is of iteration 8.
  Train(15, {.folder = broken.path(), .checkpoint_every = 4}, SmallAdversary(options), nullptr, 11);
  std::vector<GsStep> steps;
  ExpectSame(Train(15, {.folder = broken.path(), .checkpoint_every = 4}, SmallAdversary(options), &steps),
             expected);
  EXPECT_EQ(steps.front().iteration, 9);
}

TEST_F(GasTraining, EvaluationDoesNotChangeWhatIsTrained) {
  std::vector<GsStep> steps;
  const auto often = Train(6, {.folder = {}, .validate_every = 1}, SmallAdversary(), &steps);
  ExpectSame(often, Train(6, {.folder = {}, .validate_every = 0}, SmallAdversary()));
  ASSERT_TRUE(steps.front().coverage);
  EXPECT_GE(*steps.front().coverage, 0);
  EXPECT_LE(*steps.front().coverage, 1);
}

// With augmentation, whose random numbers belong to the rows of the whole batch, and a last part that is
// smaller.
TEST_F(GasTraining, ABatchInPartsIsTrainedOnAsAWhole) {
  AdversaryOptions options;
  options.loss.augment = kDiffAugment;
  std::vector<GsStep> at_once, in_parts;
  const auto expected = Train(3, {.folder = {}}, SmallAdversary(options), &at_once);
  const auto found = Train(3, {.folder = {}, .part = 3}, SmallAdversary(options), &in_parts);
  for (const auto& [name, value] : expected)
    EXPECT_TRUE(testing::Close(found.at(name), value, 1e-9, 1e-12)) << name;
  for (size_t i = 0; i < at_once.size(); ++i) {
    EXPECT_NEAR(in_parts[i].loss, at_once[i].loss, 1e-12);
    EXPECT_NEAR(*in_parts[i].adversarial, *at_once[i].adversarial, 1e-12);
    EXPECT_NEAR(in_parts[i].discriminator->loss, at_once[i].discriminator->loss, 1e-12);
    EXPECT_NEAR(in_parts[i].discriminator->r1, at_once[i].discriminator->r1, 1e-12);
    EXPECT_DOUBLE_EQ(in_parts[i].discriminator->real_above_fake, at_once[i].discriminator->real_above_fake);
    EXPECT_NEAR(in_parts[i].discriminator->grad_norm, at_once[i].discriminator->grad_norm, 1e-9);
  }
}

TEST_F(GasTraining, WeightWaitsAndRises) {
  AdversaryOptions options;
  options.weight = 0.4;
  options.delay = 3;
  options.ramp = 4;
  options.every = 2;
  const auto adversary = SmallAdversary(options);
  std::vector<GsStep> steps;
  Train(9, {.folder = {}}, adversary, &steps);
  const double expected[] = {0, 0, 0, 0.1, 0.2, 0.3, 0.4, 0.4, 0.4};
  for (size_t i = 0; i < steps.size(); ++i) {
    EXPECT_NEAR(steps[i].weight, expected[i], 1e-15) << i;
    EXPECT_EQ(steps[i].discriminator.has_value(), i % 2 == 0) << i;
    EXPECT_EQ(steps[i].adversarial.has_value(), expected[i] > 0) << i;
  }
}

TEST_F(GasTraining, AWeightOfZeroIsPlainTraining) {
  AdversaryOptions options;
  options.weight = 0;
  const auto with = Train(5, {.folder = {}}, SmallAdversary(options));
  Student student({.steps = 3}, schedule_);
  GsTrainer plain(student, network_, MakeDistance("l2"), {.iterations = 5, .lr = 5e-3});
  TrainingRun run(plain, {.folder = {}, .batch = 8});
  run.Run(PairsOf(samples_), {}, nullptr);
  for (const auto& [name, value] : plain.average()) EXPECT_TRUE(SameBits(value, with.at(name))) << name;
}

TEST_F(GasTraining, ExplodingPenaltiesStopTheRunWhenAsked) {
  // gain^2 / 18 entries of a sample, times gamma of both penalties: 0.2 * 100^2 / 18 = 111.
  const auto adversary = std::make_shared<Adversary>(
      std::make_shared<MeanDiscriminator>(100), AdversaryOptions{.lr = 1e-6, .on_trouble = OnTrouble::kStop});
  EXPECT_ERROR(Train(kTroubleMemory + 5, {.folder = {}}, adversary), Errc::kNumeric,
               "at iteration 100 the discriminator's gradient penalty is 111, bound 10");
}

TEST_F(GasTraining, TroubleRollsBackWithHalfTheWeightAndGivesUpInTheEnd) {
  const testing::TempFolder folder("gas_rollback");
  const auto adversary =
      std::make_shared<Adversary>(std::make_shared<MeanDiscriminator>(100),
                                  AdversaryOptions{.lr = 1e-6, .on_trouble = OnTrouble::kRollBack});
  std::vector<GsStep> steps;
  EXPECT_ERROR(Train(5000, {.folder = folder.path(), .checkpoint_every = 40}, adversary, &steps),
               Errc::kNumeric, "it did so again with the weight at 0.015625 of what was asked");
  std::vector<const GsStep*> returns;
  for (const GsStep& step : steps) {
    if (step.trouble) returns.push_back(&step);
  }
  ASSERT_EQ(returns.size(), 6u);  // 1/2 ... 1/64
  EXPECT_THAT(*returns[0]->trouble, ::testing::HasSubstr("back to iteration 80, with half the weight"));
  EXPECT_NEAR(steps[returns[0]->iteration].weight, 0.05, 1e-15);  // the step after it
}

// Student and fakes forwards, the student backwards, which counts as two, validation, and what is made again.
TEST_F(GasTraining, EvaluationsCountFakesAndWhatARollBackUndoes) {
  const testing::TempFolder folder("gas_evaluations");
  const auto counter = std::make_shared<testing::RowCountingDenoiser>(network_);
  const auto adversary =
      std::make_shared<Adversary>(std::make_shared<MeanDiscriminator>(100),
                                  AdversaryOptions{.lr = 1e-6, .on_trouble = OnTrouble::kRollBack});
  Student student({.steps = 3}, schedule_);
  GsTrainer trainer(student, counter, MakeDistance("l2"), {.iterations = 110, .recomputed = 1}, adversary);
  TrainingRun run(trainer, {.folder = folder.path(), .batch = 8, .checkpoint_every = 40});
  int64_t iterations = 0;
  run.Run(PairsOf(samples_), PairsOf(samples_), [&](const GsStep&) { ++iterations; });
  ASSERT_EQ(iterations, 130);  // back to 80 after 100
  EXPECT_EQ(run.evaluations(), counter->rows() + 2 * iterations * 8 * 3);
}

TEST_F(GasTraining, WarnsAndGoesOnOtherwise) {
  const auto adversary =
      std::make_shared<Adversary>(std::make_shared<MeanDiscriminator>(100), AdversaryOptions{.lr = 1e-6});
  std::vector<GsStep> steps;
  Train(2 * kTroubleMemory + 5, {.folder = {}}, adversary, &steps);
  int64_t warnings = 0;
  for (const GsStep& step : steps) warnings += step.trouble ? 1 : 0;
  EXPECT_EQ(warnings, 3);  // at iterations 100 and 200, and at the validation that ends the run
}

TEST_F(GasTraining, CheckpointsOfOtherRunsAreRefused) {
  const testing::TempFolder plain("gas_plain"), adversarial("gas_adversarial");
  Student student({.steps = 3}, schedule_);
  const GsTrainerOptions options{.iterations = 2, .lr = 5e-3};
  GsTrainer first(student, network_, MakeDistance("l2"), options);
  TrainingRun(first, {.folder = plain.path(), .batch = 8}).Run(PairsOf(samples_), {}, nullptr);
  EXPECT_ERROR(Train(4, {.folder = plain.path()}, SmallAdversary()), Errc::kBadFile,
               "was made with train.method = \"gs\", this run has \"gas\"");
  Train(2, {.folder = adversarial.path()}, SmallAdversary());
  Student other({.steps = 3}, schedule_);
  GsTrainer second(other, network_, MakeDistance("l2"), options);
  TrainingRun run(second, {.folder = adversarial.path(), .batch = 8});
  EXPECT_ERROR(run.Run(PairsOf(samples_), {}, nullptr), Errc::kBadFile,
               "was made with train.method = \"gas\", this run has \"gs\"");
  AdversaryOptions heavier;
  heavier.weight = 0.2;
  EXPECT_ERROR(Train(4, {.folder = adversarial.path()}, SmallAdversary(heavier)), Errc::kBadFile,
               "was made with adversary.weight = 0.1, this run has 0.2");
}

TEST_F(GasTraining, StatesOfAnyRank) {
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{40, 18}, {40, 2, 1, 3, 3}}) {
    const Tensor noise = torch::randn(shape, torch::kFloat64);
    samples_ = {noise, network_->Flow(*schedule_, noise, 1.0, 1e-3), {}, {}, {}};
    std::vector<GsStep> steps;
    Train(3, {}, std::make_shared<Adversary>(std::make_shared<MeanDiscriminator>(1), AdversaryOptions{}),
          &steps);
    // gain^2 / 18 entries of a sample.
    EXPECT_NEAR(steps.front().discriminator->r1, 1.0 / 18, 1e-9);
  }
}

// Those of two halves, by their shares, make the step that the whole makes.
TEST_F(GasTraining, GradientsOfTheDiscriminatorAddUp) {
  const Tensor real = samples_.images, fake = samples_.images.flip(0) * 0.9;
  const auto after_one_step = [&](const std::vector<std::pair<int64_t, int64_t>>& parts) {
    const auto adversary = SmallAdversary();
    for (const auto& [begin, end] : parts) {
      adversary->ComputeGradients({real.slice(0, begin, end), {}}, {fake.slice(0, begin, end), {}}, 0,
                                  static_cast<double>(end - begin) / 40);
    }
    return adversary->ApplyGradients();
  };
  EXPECT_NEAR(after_one_step({{0, 16}, {16, 40}}), after_one_step({{0, 40}}), 1e-9);
}

TEST(Adversary, RefusesOptionsThatCannotBe) {
  const auto network = std::make_shared<MeanDiscriminator>(1);
  EXPECT_ERROR(Adversary(network, {.weight = -1}), Errc::kBadOption,
               "adversary.weight = -1, must be at least 0");
  EXPECT_ERROR(Adversary(network, {.lr = 0}), Errc::kBadOption, "adversary.lr = 0, must be in (0, 1]");
  EXPECT_ERROR(Adversary(network, {.every = 0}), Errc::kBadOption, "every = 0");
  EXPECT_ERROR(kOnTroubleNames.FromName("rolback"), Errc::kBadOption, "did you mean rollback?");
}

}  // namespace
}  // namespace gas
