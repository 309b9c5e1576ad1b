#include "gas/grid/time_grid.h"
#include "gas/io/file.h"
#include "gas/io/safetensors.h"
#include "gas/solver/sampler.h"
#include "gas/train/training_run.h"
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

  static GsTrainerOptions TrainerOptions(int64_t iterations) {
    return {.iterations = iterations, .lr = 5e-3};
  }

  // Trains a fresh student to `iterations`; the run folder may hold a checkpoint.
  std::map<std::string, Tensor> Train(const GsTrainerOptions& options, TrainingRunOptions run_options,
                                      std::vector<GsStep>* steps = nullptr) {
    run_options.batch = 12;
    Student student({.steps = 3}, schedule_);
    GsTrainer trainer(student, network_, MakeDistance("l2"), options);
    TrainingRun run(trainer, run_options);
    run.Run(PairsOf(samples_), PairsOf(samples_), [&](const GsStep& step) {
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
  Train(TrainerOptions(150), {.validate_every = 50}, &steps);
  EXPECT_LT(*steps.back().validation, steps.front().loss / 10);
  EXPECT_EQ(steps.back().iteration, 150);
  EXPECT_FALSE(steps.front().validation);
}

TEST_F(GsTraining, KilledRunContinuesToTheSameBits) {
  const testing::TempFolder whole("gs_whole"), broken("gs_broken");
  const auto expected = Train(TrainerOptions(30), {.folder = whole.path(), .checkpoint_every = 7});
  // A run that dies after iteration 17 leaves the checkpoint of iteration 14.
  struct Killed {};
  Student student({.steps = 3}, schedule_);
  GsTrainer trainer(student, network_, MakeDistance("l2"), TrainerOptions(30));
  TrainingRun run(trainer, {.folder = broken.path(), .batch = 12, .checkpoint_every = 7});
  EXPECT_THROW(run.Run(PairsOf(samples_), {},
                       [](const GsStep& step) {
                         if (step.iteration == 17) throw Killed();
                       }),
               Killed);
  std::vector<GsStep> steps;
  ExpectSame(Train(TrainerOptions(30), {.folder = broken.path(), .checkpoint_every = 7}, &steps), expected);
  EXPECT_EQ(steps.front().iteration, 15);
}

TEST_F(GsTraining, ValidationDoesNotChangeWhatIsTrained) {
  ExpectSame(Train(TrainerOptions(20), {.validate_every = 1}),
             Train(TrainerOptions(20), {.validate_every = 0}));
}

TEST_F(GsTraining, GradientCheckpointingDoesNotChangeWhatIsTrained) {
  const auto train = [&](int64_t recomputed) {
    return Train({.iterations = 10, .lr = 5e-3, .recomputed = recomputed}, {});
  };
  const auto none = train(0);
  for (const int64_t recomputed : {int64_t{1}, int64_t{2}, kAllEvaluations}) {
    const auto some = train(recomputed);
    for (const auto& [name, value] : some) {
      EXPECT_TRUE(testing::Close(value, none.at(name), 0, 1e-12)) << name << ' ' << recomputed;
    }
  }
}

// While the gradient hardly changes, a step of Adam is as long as the step size says, in every entry: along
// the cosine of four iterations 1, 0.85, 0.5 and 0.15 of it.
TEST_F(GsTraining, TheStepSizeFollowsTheCosine) {
  for (const bool cosine : {false, true}) {
    Student student({.steps = 3}, schedule_);
    GsTrainer trainer(student, network_, MakeDistance("l2"),
                      {.iterations = 4, .lr = 1e-6, .cosine = cosine, .max_grad_norm = 1e9});
    for (int64_t k = 0; k < 4; ++k) {
      const Tensor before = student.parameters().at("theta").detach().clone();
      trainer.ComputeGradients({samples_.noise, samples_.images, {}, {}});
      trainer.ApplyGradients();
      const Tensor moved = (student.parameters().at("theta").detach() - before).abs();
      const double expected = cosine ? 1e-6 * (1 + std::cos(M_PI * static_cast<double>(k) / 4)) / 2 : 1e-6;
      EXPECT_TRUE(testing::Close(moved, torch::full_like(moved, expected), 0.01, 0)) << k << " " << moved;
    }
  }
}

// Scores the sum of a sample.
class SumDiscriminator : public Discriminator {
 public:
  SumDiscriminator() { gain_ = register_parameter("gain", Scalar(1)); }
  Tensor forward(const Tensor& images, const Tensor&) override { return gain_ * images.flatten(1).sum(1); }

 private:
  Tensor gain_;
};

// The student minimises distance + weight * adversarial: its gradient is linear in the weight, which is the
// adversary's own.
TEST_F(GsTraining, TheAdversarialTermCountsByItsWeight) {
  const auto gradient = [&](double weight) {
    Student student({.steps = 3}, schedule_);
    const auto adversary =
        std::make_shared<Adversary>(std::make_shared<SumDiscriminator>(), AdversaryOptions{.weight = weight});
    GsTrainer trainer(student, network_, MakeDistance("l2"), TrainerOptions(1), adversary);
    const AdversarialBatch adversarial{{samples_.images.flip(0), {}}, {}, {}, 0};
    const StudentTerms terms =
        trainer.ComputeGradients({samples_.noise, samples_.images, {}, {}}, &adversarial);
    EXPECT_EQ(terms.weight, weight);
    std::vector<Tensor> all;
    for (const auto& [name, value] : student.parameters()) all.push_back(value.grad().flatten());
    return torch::cat(all);
  };
  const Tensor none = gradient(0), whole = gradient(1) - none;
  EXPECT_GT(whole.abs().max().item<double>(), 1e-3);
  for (const double weight : {0.3, 2.0}) {
    EXPECT_TRUE(testing::Close(gradient(weight) - none, weight * whole, 1e-9, 0)) << weight;
  }
}

// What micro-batches and processes need: gradients of parts, by their shares, are those of the whole.
TEST_F(GsTraining, GradientsOfPartsAddUpToThoseOfTheWhole) {
  const auto after_one_step = [&](const std::vector<std::pair<int64_t, int64_t>>& parts) {
    Student student({.steps = 3}, schedule_);
    GsTrainer trainer(student, network_, MakeDistance("l2"), TrainerOptions(1));
    for (const auto& [begin, end] : parts) {
      trainer.ComputeGradients(
          {samples_.noise.slice(0, begin, end), samples_.images.slice(0, begin, end), {}, {}}, nullptr,
          static_cast<double>(end - begin) / 40);
    }
    const double norm = trainer.ApplyGradients();
    auto all = trainer.average();
    all["norm"] = Scalar(norm);
    return all;
  };
  const auto whole = after_one_step({{0, 40}}), summed = after_one_step({{0, 10}, {10, 40}});
  for (const auto& [name, value] : whole)
    EXPECT_TRUE(testing::Close(summed.at(name), value, 1e-9, 1e-12)) << name;
}

TEST_F(GsTraining, StatesOfAnyRank) {
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{40, 6}, {40, 2, 2, 3, 2}}) {
    const Tensor noise = torch::randn(shape, torch::kFloat64);
    samples_ = {noise, network_->Flow(*schedule_, noise, 1.0, 1e-3), {}, {}, {}};
    std::vector<GsStep> steps;
    Train(TrainerOptions(40), {}, &steps);
    EXPECT_LT(*steps.back().validation, steps.front().loss / 2);
  }
}

TEST_F(GsTraining, MoreIterationsMayBeAskedForButNotFewer) {
  const testing::TempFolder folder("gs_more"), whole("gs_once");
  const auto expected = Train(TrainerOptions(9), {.folder = whole.path()});
  Train(TrainerOptions(4), {.folder = folder.path()});
  ExpectSame(Train(TrainerOptions(9), {.folder = folder.path()}), expected);
  EXPECT_ERROR(Train(TrainerOptions(4), {.folder = folder.path()}), Errc::kBadFile,
               "has made 9 iterations, must be in [0, train.iterations = 4]");
}

TEST_F(GsTraining, RefusesCheckpointsOfAnotherRunAndNamesTheDifference) {
  const testing::TempFolder folder("gs_other");
  Train(TrainerOptions(2), {.folder = folder.path(), .fingerprint = {{"model.sha256", "aa"}}});
  const Bytes before = ReadFile(CheckpointIn(folder.path()));
  const TrainingRunOptions same{.folder = folder.path(), .fingerprint = {{"model.sha256", "aa"}}};
  const auto refused = [&](const GsTrainerOptions& trainer, const TrainingRunOptions& run,
                           const std::string& text) {
    EXPECT_ERROR(Train(trainer, run), Errc::kBadFile, text);
  };
  refused({.iterations = 3, .lr = 1e-3}, same, "was made with train.lr = 0.005, this run has 0.001");
  refused({.iterations = 3, .lr = 5e-3, .ema_decay = 0.9}, same,
          "was made with train.ema = 0.999, this run has 0.9");
  refused({.iterations = 3, .lr = 5e-3, .cosine = true}, same, "train.cosine = false, this run has true");
  TrainingRunOptions other = same;
  other.seed = 5;
  refused(TrainerOptions(3), other, "was made with train.seed = 0, this run has 5");
  other = same;
  other.fingerprint["model.sha256"] = "bb";
  refused(TrainerOptions(3), other, "was made with model.sha256 = \"aa\", this run has \"bb\"");
  Student student({.steps = 5}, schedule_);
  GsTrainer trainer(student, network_, MakeDistance("l2"), TrainerOptions(3));
  TrainingRun run(trainer, {.folder = folder.path(), .batch = 12, .fingerprint = same.fingerprint});
  EXPECT_ERROR(run.Run(PairsOf(samples_), {}, nullptr), Errc::kBadFile, "student.");
  EXPECT_EQ(ReadFile(CheckpointIn(folder.path())), before);
}

TEST_F(GsTraining, AStartFromAnotherTableIsAnotherRun) {
  const testing::TempFolder folder("gs_start");
  Train(TrainerOptions(2), {.folder = folder.path()});
  Student student({.steps = 3}, schedule_, MakeGrid("logsnr", *schedule_, 3, 1e-3));
  GsTrainer trainer(student, network_, MakeDistance("l2"), TrainerOptions(3));
  TrainingRun run(trainer, {.folder = folder.path(), .batch = 12});
  EXPECT_ERROR(run.Run(PairsOf(samples_), {}, nullptr), Errc::kBadFile, "was made with student.start = ");
}

TEST_F(GsTraining, NotANumberStopsWithAMessageAndKeepsTheStudent) {
  Samples bad = samples_;
  bad.images = torch::full_like(bad.images, NAN);
  Student student({.steps = 3}, schedule_);
  const Tensor before = student.parameters().at("theta").detach().clone();
  GsTrainer trainer(student, network_, MakeDistance("l2"), {.iterations = 3});
  TrainingRun run(trainer, {.folder = {}, .batch = 12});
  EXPECT_ERROR(run.Run(PairsOf(bad), {}, nullptr), Errc::kNumeric, "the loss is nan at iteration 1");
  EXPECT_TRUE(SameBits(student.parameters().at("theta").detach(), before));
}

// Damage to a checkpoint of format 2, each with what is said about it.
class CheckpointDamage : public GsTraining {
 protected:
  CheckpointDamage() { Train(TrainerOptions(3), {.folder = folder_.path()}); }

  // Changes the file; a new checksum is put in if asked.
  void Rewrite(const std::function<void(Safetensors&)>& change) const {
    Safetensors file = ReadSafetensors(CheckpointIn(folder_.path()));
    change(file);
    WriteSafetensors(CheckpointIn(folder_.path()), file.tensors, file.metadata);
  }
  // The same contents as a whole checkpoint.
  void RewriteWithChecksum(const std::function<void(Safetensors&)>& change) const {
    Safetensors file = ReadSafetensors(CheckpointIn(folder_.path()));
    change(file);
    Checkpoint whole;
    for (const auto& [name, tensor] : file.tensors) {
      const size_t slash = name.find('/');
      whole.Put(name.substr(0, slash), {{name.substr(slash + 1), tensor}});
    }
    for (const char* key : {"iteration", "evaluations", "fingerprint"})
      whole.PutText(key, file.metadata.at(key));
    whole.Write(CheckpointIn(folder_.path()));
  }
  void ExpectRefused(const std::string& text) {
    EXPECT_ERROR(Train(TrainerOptions(5), {.folder = folder_.path()}), Errc::kBadFile, text);
  }

  testing::TempFolder folder_{"gs_damage"};
};

TEST_F(CheckpointDamage, ItselfIsRead) {
  RewriteWithChecksum([](Safetensors&) {});
  Train(TrainerOptions(5), {.folder = folder_.path()});
}

TEST_F(CheckpointDamage, AChangedTensor) {
  Rewrite([](Safetensors& file) { file.tensors.at("student/theta").add_(1e-3); });
  ExpectRefused("does not match its checksum");
}

TEST_F(CheckpointDamage, AChangedText) {
  Rewrite([](Safetensors& file) { file.metadata.at("iteration") = "2"; });
  ExpectRefused("does not match its checksum");
}

TEST_F(CheckpointDamage, AnOlderFormat) {
  Rewrite([](Safetensors& file) { file.metadata.erase("gas_checkpoint"); });
  ExpectRefused("is no checkpoint of format 2");
}

TEST_F(CheckpointDamage, MissingMoments) {
  RewriteWithChecksum([](Safetensors& file) {
    for (const char* part : {"exp_avg", "exp_avg_sq", "step"}) {
      file.tensors.erase(std::string("adam/theta/") + part);
    }
  });
  ExpectRefused("Adam's state of theta is missing");
}

TEST_F(CheckpointDamage, HalfOfTheMoments) {
  RewriteWithChecksum([](Safetensors& file) { file.tensors.erase("adam/theta/exp_avg_sq"); });
  ExpectRefused("Adam's state of theta is not complete");
}

TEST_F(CheckpointDamage, MissingAverage) {
  RewriteWithChecksum([](Safetensors& file) { file.tensors.erase("ema/theta"); });
  ExpectRefused("the average of theta is missing");
}

TEST_F(CheckpointDamage, ANumberOfIterationsBelowZero) {
  RewriteWithChecksum([](Safetensors& file) { file.metadata.at("iteration") = "-1"; });
  ExpectRefused("has made -1 iterations, must be in [0, ");
}

TEST_F(CheckpointDamage, NotANumber) {
  RewriteWithChecksum([](Safetensors& file) { file.tensors.at("ema/xi")[0] = NAN; });
  ExpectRefused("tensor ema/xi has entries that are not finite");
}

}  // namespace
}  // namespace gas
