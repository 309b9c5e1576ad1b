// What a whole training run says that it took.
#include "gas/train/train_solvers.h"

#include "gas/io/file.h"
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

// Tables join the file of the same run; those of another run, or of a fit, are never lost.
TEST_F(TrainSolversRun, AddsTablesToItsFileAndReplacesItsOwnAlone) {
  const std::filesystem::path path = folder_.path() / "run" / "solver.gas.json";
  const auto tables = [&] {
    std::vector<int64_t> all;
    for (const auto& [nfe, entry] : ReadSolverFile(path).entries) all.push_back(nfe);
    return all;
  };
  Train(Options("", "run"));
  const SolverFile first = ReadSolverFile(path);
  TrainSolversOptions options = Options("", "run");
  options.nfe = {3};
  Train(options);
  EXPECT_EQ(tables(), (std::vector<int64_t>{kSteps, 3}));
  EXPECT_TRUE(testing::SameBits(ReadSolverFile(path).at(kSteps).table.b, first.at(kSteps).table.b));
  options = Options("", "run");
  options.trainer.iterations = kIterations + 1;
  Train(options);
  EXPECT_EQ(tables(), (std::vector<int64_t>{kSteps, 3}));
  EXPECT_FALSE(testing::SameBits(ReadSolverFile(path).at(kSteps).table.b, first.at(kSteps).table.b));
}

TEST_F(TrainSolversRun, RefusesTheFileOfAnotherRunAndChangesNothing) {
  const std::filesystem::path path = folder_.path() / "run" / "solver.gas.json";
  Train(Options("", "run"));
  const auto refused = [&](const TrainSolversOptions& options, const std::string& text) {
    const std::string before = Sha256OfFile(path), record = Sha256OfFile(folder_.path() / "run/options.json");
    EXPECT_ERROR(Train(options), Errc::kBadFile, "solver.gas.json: " + text);
    EXPECT_EQ(Sha256OfFile(path), before);
    EXPECT_EQ(Sha256OfFile(folder_.path() / "run/options.json"), record);
    EXPECT_FALSE(std::filesystem::exists(folder_.path() / "run" / "nfe-3"));
  };
  TrainSolversOptions options = Options("", "run");
  options.nfe = {3};
  options.trainer.lr = 0.25;
  refused(options, "has tables trained with train.lr = 0.001, this run has 0.25; choose another folder");
  // Without its checkpoint too, which would have been compared first.
  std::filesystem::remove_all(folder_.path() / "run" / "nfe-2");
  options.nfe = {kSteps};
  refused(options, "has tables trained with train.lr = 0.001, this run has 0.25; choose another folder");
  // As a fit leaves its tables.
  SolverFile fit = ReadSolverFile(path);
  fit.entries.at(kSteps).student.reset();
  fit.entries.at(kSteps).provenance = {{"fit", {{"fit.budget", 0}}}};
  WriteSolverFile(path, fit);
  for (const int64_t nfe : {kSteps, int64_t{3}}) {
    options = Options("", "run");
    options.nfe = {nfe};
    refused(options,
            "its table of 2 evaluations does not say what it was trained with; choose another folder");
  }
}

// Older files do not say what decided their tables: that of the run which goes on is its own.
TEST_F(TrainSolversRun, GoesOnWithAFileThatSaysLess) {
  const std::filesystem::path path = folder_.path() / "run" / "solver.gas.json";
  Train(Options("", "run"));
  SolverFile old = ReadSolverFile(path);
  old.entries.at(kSteps).provenance.erase("train");
  WriteSolverFile(path, old);
  TrainSolversOptions options = Options("", "run");
  options.trainer.iterations = kIterations + 1;
  Train(options);
  EXPECT_TRUE(ReadSolverFile(path).at(kSteps).provenance.contains("train"));
}

// What decides a result beside the options of the trainer: the data, the model and its dtype.
TEST_F(TrainSolversRun, AnotherModelDtypeOrTeacherIsAnotherRun) {
  Train(Options("", "run"));
  const auto refused = [&](const TrainSolversOptions& options, const std::string& text) {
    EXPECT_ERROR(Train(options), Errc::kBadFile, "nfe-2/checkpoint.safetensors: was made with " + text);
  };
  TrainSolversOptions options = Options("", "run");
  options.dtype = "bfloat16";
  refused(options, "run.dtype = \"float32\", this run has \"bfloat16\"");
  options = Options("", "run");
  options.open_model = [this](const TeacherData&) {
    Model other = model_;
    other.sha256 = "another";
    return other;
  };
  refused(options, "model.sha256 = ");
  options = Options("", "run");
  options.teacher = folder_.path() / "other";
  std::filesystem::copy(folder_.path() / "data", options.teacher, std::filesystem::copy_options::recursive);
  const StepTable table = MakeSolverTable("ddim", *model_.schedule, "logsnr", 4, model_.t_eps);
  WriteTeacherData(options.teacher, TeacherData(options.teacher).spec(), model_, table, SeedRange(24, 24),
                   {.batch = 24});
  options.samples = 16;
  refused(options, "train.teacher = ");
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
