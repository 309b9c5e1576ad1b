// What a whole training run says that it took.
#include "gas/train/train_solvers.h"

#include "gas/models/guidance.h"
#include "gas/solver/registry.h"
#include "gas/solver/solver_file.h"
#include "gas/teacher/teacher.h"
#include "support/expect.h"
#include "support/row_counting_denoiser.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

constexpr int64_t kTrainBatch = 4, kSteps = 2, kHeldOut = 8, kIterations = 5;

class TrainSolversRun : public ::testing::Test {
 protected:
  TrainSolversRun() : model_(OpenModel("mixture")) {
    const StepTable table = MakeSolverTable("ddim", *model_.schedule, "logsnr", 4, model_.t_eps);
    const TeacherSpec spec{.model = model_.name,
                           .model_sha256 = model_.sha256,
                           .solver = "ddim",
                           .grid = "logsnr",
                           .nfe = 4,
                           .t_eps = model_.t_eps,
                           .shape = model_.shape};
    WriteTeacherData(folder_.path() / "data", spec, model_, table, SeedRange(0, 24), {.batch = 24});
    counter_ = std::make_shared<const testing::RowCountingDenoiser>(model_.denoiser);
    model_.denoiser = counter_;
  }

  TrainSolversOptions Options(const std::string& init, const std::string& run) {
    TrainSolversOptions o{.teacher = folder_.path() / "data", .held_out = kHeldOut};
    o.open_model = [this](const TeacherData&) { return model_; };
    o.nfe = {kSteps};
    o.init = init;
    o.activations = Activations::kKeep;
    o.trainer.iterations = kIterations;
    o.run = {
        .folder = folder_.path() / run, .batch = kTrainBatch, .validate_every = 2, .checkpoint_every = 2};
    return o;
  }

  static TrainedSolver Train(const TrainSolversOptions& options, const TrainSolversHooks& hooks = {}) {
    return TrainSolvers(options, hooks).solvers.at(0);
  }

  testing::TempFolder folder_{"train_solvers"};
  Model model_;
  std::shared_ptr<const testing::RowCountingDenoiser> counter_;
};

// Predicts the data as a share of the state, and the class.
class Labelled : public Denoiser {
 public:
  PredictionType prediction_type() const override { return PredictionType::kData; }
  Tensor Predict(const Tensor& x, const NoiseLevel&, const Condition& condition) const override {
    EXPECT_TRUE(condition.tensors.empty());
    return 0.3 * x + condition.labels.to(x.scalar_type()).reshape({-1, 1, 1, 1});
  }
};

// With the teacher's own solver nothing is left to learn, unless samples are told another scale than theirs.
TEST_F(TrainSolversRun, EachSampleOfARangeIsTrainedAndValidatedAtItsOwnScale) {
  const auto classes = std::make_shared<ClassConditioner>(3);
  model_.denoiser = std::make_shared<GuidedDenoiser>(std::make_shared<Labelled>(), *classes->None(), 2);
  model_.guidance = 2;
  model_.guidance_range = {1, 3};
  model_.conditioner = std::make_shared<GuidanceConditioner>(classes, *model_.guidance_range);
  model_.classes = 3;
  const StepTable table = MakeSolverTable("ddim", *model_.schedule, "", kSteps, model_.t_eps);
  TeacherSpec spec{.solver = "ddim"};
  SetModel(spec, model_);
  const std::filesystem::path data = folder_.path() / "ranged";
  WriteTeacherData(data, spec, model_, table, SeedRange(0, 24), {.batch = 24});
  TrainSolversOptions options = Options("ddim", "run-ranged");
  options.teacher = data;
  options.trainer.lr = 1e-12;
  std::vector<double> losses;
  const TrainSolversHooks hooks = {.step = [&](int64_t, const GsStep& step) { losses.push_back(step.loss); }};
  const TrainSolversResult result = TrainSolvers(options, hooks);
  EXPECT_LT(*result.solvers.at(0).held_out_distance, 1e-9);
  ASSERT_FALSE(losses.empty());
  for (const double loss : losses) EXPECT_LT(loss, 1e-9);
  const SolverFile file = ReadSolverFile(result.file.string());
  EXPECT_EQ(file.guidance_range, (GuidanceRange{1, 3}));
  EXPECT_EQ(file.guidance, 2);
}

// Validation, and the fit that training begins from, count as well as the iterations.
TEST_F(TrainSolversRun, EveryEvaluationCounts) {
  for (const std::string init : {"", "fit", "ddim"}) {
    SCOPED_TRACE(init);
    const int64_t before = counter_->rows();
    const TrainSolversOptions options = Options(init, "run-" + init);
    const TrainedSolver solver = Train(options);
    const int64_t backwards = 2 * kIterations * kTrainBatch * kSteps;
    EXPECT_EQ(solver.evaluations + solver.teacher_evaluations, counter_->rows() - before + backwards);
    EXPECT_EQ(solver.teacher_evaluations, init == "fit" ? 4 * 24 : 0);
    // The validations are those after iterations 2, 4 and 5.
    const int64_t without_fit = 3 * kIterations * kTrainBatch * kSteps + 3 * kHeldOut * kSteps;
    if (init == "fit") {
      EXPECT_GT(solver.evaluations, without_fit);
    } else {
      EXPECT_EQ(solver.evaluations, without_fit);
    }
    const nlohmann::json provenance =
        ReadSolverFile(options.run.folder / "solver.gas.json").at(kSteps).provenance;
    EXPECT_EQ(provenance.at("network_evaluations"), solver.evaluations);
    EXPECT_EQ(provenance.value("teacher_evaluations", 0), solver.teacher_evaluations);
  }
}

TEST_F(TrainSolversRun, ABrokenOffRunCountsAsOneThatIsNot) {
  const int64_t whole = Train(Options("fit", "whole")).evaluations;
  struct Killed {};
  TrainSolversHooks hooks;
  hooks.step = [](int64_t, const GsStep& step) {
    if (step.iteration == 3) throw Killed();
  };
  EXPECT_THROW(Train(Options("fit", "broken"), hooks), Killed);
  EXPECT_EQ(Train(Options("fit", "broken")).evaluations, whole);
}

TEST_F(TrainSolversRun, MemoryIsALimitThatNamesTheLeast) {
  TrainSolversOptions options = Options("", "limited");
  options.activations = Activations::kAuto;
  options.memory = 1 << 20;
  EXPECT_ERROR(Train(options), Errc::kBadOption, "run.memory = 1 MiB, must be at least ");
  EXPECT_FALSE(std::filesystem::exists(options.run.folder / "solver.gas.json"));
  options.memory = int64_t{1} << 40;
  TrainSolversHooks hooks;
  int64_t planned = 0;
  hooks.plan = [&](int64_t, const TrainingPlan& plan) { planned = plan.part; };
  const TrainedSolver solver = Train(options, hooks);
  EXPECT_EQ(planned, kTrainBatch);
  EXPECT_EQ(solver.part, kTrainBatch);
  EXPECT_EQ(solver.recomputed, 0);
}

// The checkpoint of a run says how its steps were made; the run that goes on with it makes them so.
TEST_F(TrainSolversRun, ARunInPartsGoesOnInTheSameParts) {
  TrainSolversOptions options = Options("", "broken");
  options.activations = Activations::kAuto;
  struct Killed {};
  TrainSolversHooks hooks;
  hooks.step = [](int64_t, const GsStep& step) {
    if (step.iteration == 3) throw Killed();
  };
  EXPECT_THROW(Train(options, hooks), Killed);
  const auto path = CheckpointIn(options.run.folder / ("nfe-" + std::to_string(kSteps)));
  Checkpoint file(path);
  EXPECT_EQ(file.Int(std::string(kPartKey)), kTrainBatch);
  file.PutText(std::string(kPartKey), "2");
  file.PutText(std::string(kRecomputedKey), "1");
  file.Write(path);
  options.memory = int64_t{1} << 40;
  const TrainedSolver solver = Train(options);
  EXPECT_EQ(solver.part, 2);
  EXPECT_EQ(solver.recomputed, 1);
}

}  // namespace
}  // namespace gas
