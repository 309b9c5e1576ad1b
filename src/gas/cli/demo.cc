#include <iostream>

#include <fmt/format.h>

#include "gas/cli/convolution_option.h"
#include "gas/cli/dtype.h"
#include "gas/cli/fit_printer.h"
#include "gas/cli/model_options.h"
#include "gas/cli/quality_table.h"
#include "gas/cli/run.h"
#include "gas/cli/text_options.h"
#include "gas/cli/train_printer.h"
#include "gas/cli/worker_options.h"
#include "gas/core/error.h"
#include "gas/core/progress.h"
#include "gas/core/seeds.h"
#include "gas/core/shown.h"
#include "gas/eval/evaluate.h"
#include "gas/io/file.h"
#include "gas/io/png.h"
#include "gas/io/run_folder.h"
#include "gas/report/image_grid.h"
#include "gas/teacher/write_teacher_data.h"

namespace gas::cli {
namespace {

// What is fitted and trained.
std::vector<OptionRow> DemoTrainingRows() {
  OptionRow model = ModelRow();
  model.def = "emoji";
  return {
      model,
      ConfigRow(),
      {.key = "demo.nfe",
       .flag = "--nfe",
       .type = OptType::kInt,
       .def = "4",
       .min = 2,
       .max = 20,
       .help = "network evaluations of the solvers; a second fit has one less"},
      {.key = "demo.iterations",
       .flag = "--iterations",
       .type = OptType::kInt,
       .def = "20",
       .min = 1,
       .max = 1e6,
       .help = "training steps, from the fit on"},
      {.key = "demo.batch",
       .flag = "--batch",
       .type = OptType::kInt,
       .def = "8",
       .min = 1,
       .max = 4096,
       .help = "samples per training step"},
      {.key = "demo.lr",
       .flag = "--lr",
       .type = OptType::kReal,
       .def = "2e-3",
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
       .def = "64",
       .min = 16,
       .max = 1e6,
       .help = "teacher samples to fit and train on"},
      {.key = "demo.test",
       .flag = "--test",
       .type = OptType::kInt,
       .def = "64",
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
       .help = "folder to write; an interrupted run continues from it",
       .value = "FOLDER"},
      NoDefault("the schedule's own", TEpsRow()),
      GuidanceRow(),
  };
}

std::vector<OptionRow> DemoRows() {
  return JoinedRows({DemoTrainingRows(),
                     DemoDataRows(),
                     PromptRows(),
                     TextModelRows(),
                     WorkerRows(),
                     TrainingRunRows(),
                     {ConvolutionRow()}});
}

constexpr double kDemoAdversarialWeight = 0.01;
constexpr Seed kTestSeed = 50000;     // apart from training seeds, as everywhere in this project
constexpr int64_t kHeldOutShare = 6;  // one trajectory of so many decides between fits
constexpr int64_t kPictured = 12;     // samples of each solver in the picture
constexpr int64_t kLeastPixels = 96;  // of a pictured sample's side

struct DemoSettings {
  ModelRequest model;
  nn::PlanOptions convolution;
  std::string recorded_convolution;
  std::string dtype;
  int64_t nfe, iterations, batch;
  double lr;
  int64_t training, test;  // samples
  bool gas;
  std::filesystem::path out;
  nlohmann::json record;

  int64_t held_out() const { return training / kHeldOutShare; }
  std::filesystem::path TeacherFolder() const { return out / "teacher"; }
  std::filesystem::path TestFolder() const { return out / "test"; }
};

DemoSettings ReadDemoSettings(const Options& o) {
  DemoSettings s{.model = ReadModelRequest(o),
                 .convolution = {},
                 .recorded_convolution = RecordedConvolution(o),
                 .dtype = o.Text("run.dtype"),
                 .nfe = o.Int("demo.nfe"),
                 .iterations = o.Int("demo.iterations"),
                 .batch = o.Int("demo.batch"),
                 .lr = o.Real("demo.lr"),
                 .training = o.Int("demo.training"),
                 .test = o.Int("demo.test"),
                 .gas = o.Flag("demo.gas"),
                 .out = o.Text("demo.out")};
  ReadPrompts(o, s.model.options);
  s.model.t_eps = o.RealIfGiven("solver.t_eps");
  s.model.guidance = o.Real("model.guidance");
  s.convolution = ReadConvolution(o, s.model);
  s.convolution.input_gradients = true;
  return s;
}

void Announce(const std::string& step) { std::cout << step << '\n' << std::flush; }

void WriteTeacherFolder(const DemoSettings& s, const Model& model, const char* what,
                        const std::filesystem::path& folder, const std::vector<Seed>& seeds, bool states) {
  TeacherSpec spec{.solver = kTeacherSolver,
                   .grid = kTeacherGrid,
                   .states = states,
                   .dtype = s.dtype,
                   .convolution = s.recorded_convolution};
  SetModel(spec, model);
  Progress progress(what, "samples", static_cast<int64_t>(seeds.size()));
  WriteTeacherData(folder, spec, model, TeacherTableOf(spec, model), seeds,
                   {.progress = [&](int64_t done, int64_t) { progress.Update(done); }});
}

void MakeData(const DemoSettings& s, const Model& model) {
  Announce(fmt::format("1. teacher: {} training and {} test samples of {} by {} with {} evaluations",
                       s.training, s.test, model.name, kTeacherSolver, kTeacherNfe));
  WriteTeacherFolder(s, model, "teacher", s.TeacherFolder(), SeedRange(0, s.training), /*states=*/true);
  WriteTeacherFolder(s, model, "test", s.TestFolder(), SeedRange(kTestSeed, s.test), /*states=*/false);
}

// The solver file of the default fit.
std::filesystem::path Fit(const DemoSettings& s, const Model& model) {
  Announce(fmt::format("2. fits of {} and {} evaluations, without gradients", s.nfe, s.nfe - 1));
  FitSolverOptions solver;
  solver.search_start = true;
  solver.step = DifferenceStepOf(s.model.options.dtype);
  FitPrinter printer;
  return RunFit({.trajectories = FromTeacherFolder{s.TeacherFolder(), [&](auto&...) { return model; }},
                 .sizes = {.training = s.training - s.held_out(), .held_out = s.held_out()},
                 .nfe = {s.nfe, s.nfe - 1},
                 .solver = solver,
                 .dtype = s.dtype,
                 .convolution = s.recorded_convolution,
                 .folder = s.out / "fit",
                 .record = s.record},
                printer.Hooks())
      .path;
}

TrainSolversOptions TrainingOf(const DemoSettings& s, const Model& model, const std::filesystem::path& from) {
  return {.teacher = s.TeacherFolder(),
          .held_out = s.held_out(),
          .open_model = [model](const TeacherData&) { return model; },
          .dtype = s.dtype,
          .convolution = std::string(nn::kConvolutionNames.NameOf(s.convolution.mode)),
          .nfe = {s.nfe},
          .init = from,
          .loss = "l2",
          .trainer = {.iterations = s.iterations, .lr = s.lr, .cosine = true, .ema_decay = 0.9},
          .run = {.folder = s.out / "gs", .batch = s.batch},
          .record = s.record};
}

std::filesystem::path Train(const TrainSolversOptions& options) {
  TrainPrinter printer(options);
  return TrainSolvers(options, printer.Hooks()).file;
}

std::filesystem::path TrainGs(const DemoSettings& s, const Model& model, const std::filesystem::path& fit) {
  Announce(fmt::format("3. GS from the fit: {} iterations on {} samples", s.iterations, s.batch));
  return Train(TrainingOf(s, model, fit));
}

// Goes on from what the distance alone has reached, with heads on the model's own encoder as the
// discriminator.
std::filesystem::path TrainGas(const DemoSettings& s, const Model& model, const std::filesystem::path& gs) {
  Announce("   GAS from there: as many iterations with an adversary");
  TrainSolversOptions options = TrainingOf(s, model, gs);
  options.trainer.lr /= 4;
  options.run.folder = s.out / "gas";
  options.adversary = AdversarySettings{.options = {.weight = kDemoAdversarialWeight}};
  return Train(options);
}

// A solver of the comparison, by name or file.
struct Compared {
  std::string solver, label;
  int64_t nfe = 0;
};

// A row of the table and one of the picture for the teacher and each solver.
struct DemoResult {
  std::vector<Quality> rows;
  std::vector<LabelledRow> picture;
};

DemoResult Measure(const DemoSettings& s, const Model& model, const std::vector<Compared>& compared) {
  Announce("4. the same unseen seeds with each solver");
  const TeacherData test(s.TestFolder());
  const std::vector<Seed> pictured = SeedRange(kTestSeed, std::min(kPictured, s.test));
  DemoResult result;
  const auto picture = [&](const std::string& label, const StepTable& table) {
    const Samples samples = RunTeacher(model, table, pictured, /*states=*/false, kPictured);
    result.picture.push_back({label, ImagesOf(model, samples.images)});
  };
  picture(fmt::format("teacher {}", kTeacherNfe), TeacherTableOf(test.spec(), model));
  Progress progress("measure", "solvers", static_cast<int64_t>(compared.size()));
  for (const Compared& one : compared) {
    const EvalOptions options{.solvers = {one.solver}, .grid = "logsnr", .counts = {one.nfe}};
    const EvalRecord record = Evaluate(test, model, options);
    if (result.rows.empty()) result.rows.push_back(record.rows.front());
    result.rows.push_back(record.rows.back());
    picture(fmt::format("{} {}", one.label, one.nfe), SolversOf(options, model).front().table);
    progress.Update(static_cast<int64_t>(result.rows.size()) - 1);
  }
  return result;
}

void Write(const DemoSettings& s, const DemoResult& result, const std::string& fit, const std::string& gs,
           double seconds) {
  const std::filesystem::path picture = s.out / "demo.png";
  const int64_t side = result.picture.front().images.size(-1);
  WritePng(picture, LabelledGrid(result.picture, std::max<int64_t>(1, (kLeastPixels + side - 1) / side)));
  WriteFile(s.out / "quality.json", QualityToJson(result.rows).dump(1) + "\n");
  std::cout << fmt::format(
      "\n{} unseen seeds; distance: mean squared, to the teacher; perceptual: likewise, in features; "
      "Fréchet: to the data\n\n{}\npicture: {}\nsolvers: {}, {}\n{:.0f} s in all. Next: gas inspect {}\n",
      s.test, QualityTable(result.rows), picture.string(), fit, gs, seconds, fit);
}

// Before all the work, which would end without its picture.
void CheckPictured(const Model& model) {
  GAS_CHECK(MakesPictures(model), Errc::kBadOption, "gas demo: samples of ", Printable(model.name),
            " have shape ", at::IntArrayRef(model.shape),
            " and are no images, which have shape [1,H,W] or [3,H,W]; "
            "gas teacher, fit, train and eval take any");
}

void RunDemo(const DemoSettings& s) {
  const RunFolder folder(s.out, "gas demo");
  const Model model = s.model.Open();
  CheckTrainable(model);
  CheckPictured(model);
  folder.WriteOptions(s.record);
  UseConvolutions("demo", model, s.model.options.dtype, s.convolution);
  WarnOfSlowDtype("demo", s.model.options.dtype, model, s.batch);
  Progress whole("demo", "steps", 1);

  MakeData(s, model);
  const std::filesystem::path fit = Fit(s, model);
  const std::filesystem::path gs = TrainGs(s, model, fit);
  std::vector<Compared> compared = {{"dpmpp-3m", "DPM++", s.nfe},
                                    {"unipc-3-bh2", "UniPC", s.nfe},
                                    {fit, "fit", s.nfe},
                                    {fit, "fit", s.nfe - 1},
                                    {gs, "GS", s.nfe}};
  if (s.gas) compared.push_back({TrainGas(s, model, gs), "GAS", s.nfe});
  const DemoResult result = Measure(s, model, compared);
  Write(s, result, fit, gs, whole.seconds());
}

Work PlanDemo(const Options& o) {
  return [&o, s = ReadDemoSettings(o)]() mutable {
    s.record = o.ToJson();
    RunDemo(s);
  };
}

}  // namespace

Verb DemoVerb() {
  return {"demo",     "The main job in minutes: teacher, fit, training, samples, measured quality.",
          "gas demo", DemoRows(),
          PlanDemo,   kSameCommandGoesOn};
}

}  // namespace gas::cli
