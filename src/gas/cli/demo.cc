#include <iostream>

#include <fmt/format.h>

#include "gas/cli/dtype.h"
#include "gas/cli/model_options.h"
#include "gas/cli/quality_table.h"
#include "gas/cli/run.h"
#include "gas/cli/text.h"
#include "gas/core/error.h"
#include "gas/core/progress.h"
#include "gas/core/seeds.h"
#include "gas/grid/time_grid.h"
#include "gas/io/file.h"
#include "gas/io/png.h"
#include "gas/io/run_folder.h"
#include "gas/models/feature_discriminator.h"
#include "gas/report/image_grid.h"
#include "gas/solver/registry.h"
#include "gas/solver/solver_file.h"
#include "gas/train/train_solvers.h"
#include "gas/train/training_run.h"

namespace gas::cli {
namespace {

// What is trained.
std::vector<OptionRow> DemoTrainingRows() {
  return {
      ModelRow(),
      ConfigRow(),
      {.key = "demo.nfe",
       .flag = "--nfe",
       .type = OptType::kInt,
       .def = "4",
       .min = 2,
       .max = 20,
       .help = "network evaluations of the student and of the solvers beside it"},
      {.key = "demo.iterations",
       .flag = "--iterations",
       .type = OptType::kInt,
       .def = "150",
       .min = 1,
       .max = 1e6,
       .help = "training steps"},
      {.key = "demo.batch",
       .flag = "--batch",
       .type = OptType::kInt,
       .def = "16",
       .min = 1,
       .max = 4096,
       .help = "samples per training step"},
      {.key = "demo.lr",
       .flag = "--lr",
       .type = OptType::kReal,
       .def = "2e-2",
       .min = 1e-9,
       .max = 1,
       .help = "Adam step size, falling to zero along a cosine"},
  };
}

// On what it is measured, and where that is written.
std::vector<OptionRow> DemoDataRows() {
  return {
      {.key = "demo.training",
       .flag = "--training",
       .type = OptType::kInt,
       .def = "256",
       .min = 1,
       .max = 1e6,
       .help = "teacher samples to train on"},
      {.key = "demo.test",
       .flag = "--test",
       .type = OptType::kInt,
       .def = "256",
       .min = 16,
       .max = 1e6,
       .help = "teacher samples, of other seeds, to measure on"},
      {.key = "demo.gas",
       .flag = "--gas",
       .type = OptType::kFlag,
       .def = "false",
       .help = "train further with an adversary beside the distance, and show these samples too"},
      {.key = "demo.out",
       .flag = "--out",
       .type = OptType::kText,
       .def = "runs/demo",
       .help = "folder to write",
       .value = "FOLDER"},
      NoDefault("the schedule's own", TEpsRow()),
      GuidanceRow(),
  };
}

std::vector<OptionRow> DemoRows() { return JoinedRows({DemoTrainingRows(), DemoDataRows(), RunRows()}); }

constexpr double kDemoAdversarialWeight = 0.01;
constexpr Seed kTestSeed = 50000;  // apart from training seeds, as everywhere in this project
constexpr int64_t kPictured = 12;  // samples of each solver in the picture

struct DemoSettings {
  ModelRequest model;
  int64_t nfe, iterations, batch;
  double lr;
  int64_t training, test;  // samples
  bool gas;
  std::filesystem::path out;
};

DemoSettings ReadDemoSettings(const Options& o) {
  DemoSettings s{.model = ReadModelRequest(o),
                 .nfe = o.Int("demo.nfe"),
                 .iterations = o.Int("demo.iterations"),
                 .batch = o.Int("demo.batch"),
                 .lr = o.Real("demo.lr"),
                 .training = o.Int("demo.training"),
                 .test = o.Int("demo.test"),
                 .gas = o.Flag("demo.gas"),
                 .out = o.Text("demo.out")};
  s.model.t_eps = o.RealIfGiven("solver.t_eps");
  s.model.guidance = o.Real("model.guidance");
  return s;
}

Samples Draw(const char* what, const Model& model, const StepTable& table, const std::vector<Seed>& seeds) {
  Progress progress(what, "samples", static_cast<int64_t>(seeds.size()));
  return RunTeacher(model, table, seeds, false, 64, [&](int64_t done) { progress.Update(done); });
}

// Trains `student`, with an adversary if there is one, and describes the result.
SolverEntry Trained(const DemoSettings& s, const Options& o, const char* method, Student& student,
                    const Model& model, const Samples& training, double lr,
                    std::shared_ptr<Adversary> adversary) {
  const GsTrainerOptions options{.iterations = s.iterations, .lr = lr, .cosine = true, .ema_decay = 0.95};
  GsTrainer trainer(student, model.denoiser, MakeDistance("l2"), options, std::move(adversary));
  TrainingRun run(trainer, {.folder = {}, .batch = s.batch, .device = model.device});
  Progress progress(method, "iterations", s.iterations);
  run.Run(PairsOf(training), {},
          [&](const GsStep& step) { progress.Update(step.iteration, "loss " + DistanceText(step.loss)); });
  SolverEntry entry;
  entry.table = trainer.AverageTable();
  entry.table.method = method;
  entry.t_eps = student.config().t_eps;
  entry.student = student.Record(trainer.average());
  entry.provenance = {
      {"options", o.ToJson()}, {"iterations", s.iterations}, {"training_samples", training.noise.size(0)}};
  return entry;
}

SolverEntry TrainStudent(const DemoSettings& s, const Options& o, const Model& model,
                         const Samples& training) {
  Student student({.steps = s.nfe, .t_eps = model.t_eps}, model.schedule,
                  MakeGrid(kTeacherGrid, *model.schedule, s.nfe, model.t_eps));
  return Trained(s, o, "gs", student, model, training, s.lr, nullptr);
}

// Goes on from what the distance alone has reached, with heads on the model's own encoder as the
// discriminator.
SolverEntry FinishWithAdversary(const DemoSettings& s, const Options& o, const Model& model,
                                const Samples& training, const SolverEntry& from) {
  GAS_CHECK(model.encoder, Errc::kBadOption, "demo.gas needs an encoder, and model ", model.name,
            " shows none");
  Student student = Student::FromEntry(from, model.schedule);
  torch::manual_seed(0);
  const auto discriminator =
      std::make_shared<FeatureDiscriminator>(model.encoder, FeatureDiscriminatorConfig{});
  discriminator->to(model.device);
  const auto adversary = std::make_shared<Adversary>(
      discriminator, AdversaryOptions{.weight = kDemoAdversarialWeight, .lr = 1e-3});
  return Trained(s, o, "gas", student, model, training, s.lr / 4, adversary);
}

// What the solvers are trained on, and the samples of other seeds that they are measured on.
struct DemoData {
  Samples training, test;
};

DemoData MakeData(const DemoSettings& s, const Model& model) {
  std::cout << fmt::format("1. teacher: {} training and {} test samples of {} by {} with {} evaluations\n",
                           s.training, s.test, model.name, kTeacherSolver, kTeacherNfe)
            << std::flush;
  const StepTable teacher =
      MakeSolverTable(kTeacherSolver, *model.schedule, kTeacherGrid, kTeacherNfe, model.t_eps);
  Samples training = Draw("teacher", model, teacher, SeedRange(0, s.training));
  Samples test = Draw("test", model, teacher, SeedRange(kTestSeed, s.test));
  return {std::move(training), std::move(test)};
}

struct DemoSolvers {
  SolverFile gs;
  std::optional<SolverFile> gas;  // with --gas
};

DemoSolvers TrainBoth(const DemoSettings& s, const Options& o, const Model& model, const Samples& training) {
  std::cout << fmt::format("2. training of gs-{}: {} iterations on {} samples\n", s.nfe, s.iterations,
                           s.batch)
            << std::flush;
  DemoSolvers solvers;
  solvers.gs = NewSolverFile(model);
  SolverFile with_adversary = solvers.gs;
  solvers.gs.entries[s.nfe] = TrainStudent(s, o, model, training);
  if (!s.gas) return solvers;
  std::cout << fmt::format("   and of gas-{}: as many iterations with an adversary\n", s.nfe) << std::flush;
  with_adversary.entries[s.nfe] = FinishWithAdversary(s, o, model, training, solvers.gs.entries[s.nfe]);
  solvers.gas = std::move(with_adversary);
  return solvers;
}

// A row of the table and one of the picture for each solver.
struct DemoResult {
  std::vector<Quality> rows;
  std::vector<LabelledRow> picture;
};

DemoResult Measure(const DemoSettings& s, const Model& model, const FeatureModel& features,
                   const Samples& test, const DemoSolvers& solvers) {
  std::cout << "3. the same unseen seeds with each solver\n" << std::flush;
  DemoResult result;
  const auto add = [&](const std::string& name, int64_t nfe, const Tensor& images, const Tensor& reference) {
    result.rows.push_back(MeasureQuality(name, nfe, images, reference, test.condition.labels, &features));
    const std::string first_word = name.substr(0, name.find(' '));
    result.picture.push_back({fmt::format("{} {}", first_word, nfe), images.slice(0, 0, kPictured)});
  };
  const auto run = [&](const char* progress, const std::string& name, const StepTable& table) {
    add(name, s.nfe, Draw(progress, model, table, SeedRange(kTestSeed, s.test)).images, test.images);
  };
  add(std::string(kTeacherSolver) + " (teacher)", kTeacherNfe, test.images, {});
  result.picture[0].label = fmt::format("teacher {}", kTeacherNfe);
  for (const char* name : {"dpmpp-3m", "unipc-3-bh2"}) {
    run(name, name, MakeSolverTable(name, *model.schedule, "logsnr", s.nfe, model.t_eps));
  }
  run("gs", "gs (trained here)", solvers.gs.entries.at(s.nfe).table);
  if (solvers.gas) run("gas", "gas (trained here)", solvers.gas->entries.at(s.nfe).table);
  return result;
}

void RunDemo(const DemoSettings& s, const Options& o) {
  const RunFolder folder(s.out, "gas demo");
  folder.WriteOptions(o.ToJson());
  const Model model = s.model.Open();
  CheckTrainable(model);
  WarnOfSlowBfloat16("demo", s.model.dtype, model, s.batch);
  const FeatureModel features = ReadFeatureModelFor(FeatureFileOf(model), model.shape);
  Progress whole("demo", "steps", 1);

  const DemoData data = MakeData(s, model);
  DemoSolvers solvers = TrainBoth(s, o, model, data.training);
  const DemoResult result = Measure(s, model, features, data.test, solvers);

  std::cout << fmt::format(
                   "\n{} unseen seeds; distance: mean squared, to the teacher; Fréchet distance: to the "
                   "data\n\n",
                   s.test)
            << QualityTable(result.rows);
  for (const Quality& q : result.rows) {
    solvers.gs.entries[s.nfe].provenance["measured"][q.label] = QualityToJson({q})[0];
  }
  const std::filesystem::path picture = s.out / "demo.png", solver = s.out / "solver.gas.json";
  WritePng(picture, LabelledGrid(result.picture, 3));
  WriteSolverFile(solver, solvers.gs);
  if (solvers.gas) WriteSolverFile(s.out / "adversarial.gas.json", *solvers.gas);
  std::cout << fmt::format("\npicture: {}\nsolver:  {}\n{:.0f} s in all. Next: gas inspect {}\n",
                           picture.string(), solver.string(), whole.seconds(), solver.string());
}

Work PlanDemo(const Options& o) {
  return [&o, s = ReadDemoSettings(o)] { RunDemo(s, o); };
}

}  // namespace

Verb DemoVerb() {
  return {"demo", "The main job in minutes: teacher, training, samples, measured quality.", "gas demo",
          DemoRows(), PlanDemo};
}

}  // namespace gas::cli
