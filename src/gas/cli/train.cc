#include <fstream>
#include <iostream>

#include <fmt/format.h>

#include "gas/cli/adversary_options.h"
#include "gas/cli/fit_problem.h"
#include "gas/cli/machine.h"
#include "gas/cli/model_options.h"
#include "gas/cli/run.h"
#include "gas/cli/run_folder.h"
#include "gas/cli/solver_choice.h"
#include "gas/core/error.h"
#include "gas/core/progress.h"
#include "gas/features/classifier.h"
#include "gas/grid/time_grid.h"
#include "gas/io/file.h"
#include "gas/student/solver_file.h"
#include "gas/train/gs_trainer.h"
#include "gas/train/loss_text.h"

namespace gas::cli {
namespace {

enum class TrainMethod { kGs, kGas };
constexpr auto kTrainMethodNames =
    NamesOf<TrainMethod>("train.method", {{TrainMethod::kGs, "gs", "the distance alone"},
                                          {TrainMethod::kGas, "gas", "with an adversary beside it"}});

// Terms of a loss that look at images through a network.
constexpr std::string_view kLpipsPrefix = "lpips-";
constexpr const char* kInitFit = "fit";
constexpr const char* kLpipsOnly = "with an lpips loss";

std::vector<OptionRow> TrainRows() {
  const GsTrainOptions defaults;
  const StudentConfig student;
  std::vector<OptionRow> rows = {
      ModelRow(),
      {.key = "train.method",
       .flag = "--method",
       .type = OptType::kChoice,
       .def = DefaultOf(kTrainMethodNames.NameOf(TrainMethod::kGs)),
       .help = "what is minimised",
       .choices = kTrainMethodNames.choices()},
      {.key = "train.teacher",
       .flag = "--teacher",
       .type = OptType::kText,
       .def = "runs/teacher",
       .help = "folder of teacher data (gas teacher)",
       .value = "FOLDER"},
      {.key = "train.held_out",
       .flag = "--held-out",
       .type = OptType::kInt,
       .def = "200",
       .min = 0,
       .max = 1e9,
       .help = "how many of the last samples are kept for validation"},
      {.key = "student.nfe",
       .flag = "--nfe",
       .type = OptType::kText,
       .def = DefaultOf(student.steps),
       .help = "network evaluations, one number or several such as 4,5,6",
       .value = "COUNTS"},
      {.key = "student.order",
       .flag = "--order",
       .type = OptType::kInt,
       .def = DefaultOf(student.order),
       .min = 0,
       .max = 1000,
       .help = "earlier evaluations that a step uses, at most --nfe; 0 for all"},
      {.key = "student.base",
       .flag = "--base",
       .type = OptType::kChoice,
       .def = DefaultOf(kThirdOrderBaseNames.NameOf(student.base)),
       .help = "third-order base solver",
       .choices = kThirdOrderBaseNames.choices()},
      {.key = "student.parametrization",
       .flag = "--parametrization",
       .type = OptType::kChoice,
       .def = DefaultOf(kParametrizationNames.NameOf(student.parametrization)),
       .help = "what is trained",
       .choices = kParametrizationNames.choices()},
      {.key = "student.grid",
       .flag = "--grid",
       .type = OptType::kText,
       .def = "uniform",
       .help = "time grid at the start of training (gas grids)",
       .value = "GRID",
       .only = "without a solver file for --init"},
      {.key = "student.init",
       .flag = "--init",
       .type = OptType::kText,
       .def = "",
       .help = fmt::format(
           "where to start: a solver file (its tables are reproduced exactly), or the word fit (a "
           "closed-form fit to the first {} samples on --grid) [the base solver on --grid]",
           FitSizes{}.training),
       .value = "SOLVER"},
      {.key = "student.per_band",
       .flag = "--per-band",
       .type = OptType::kFlag,
       .def = "false",
       .help = "train corrections of each band of a spectral table"},
      {.key = "train.loss",
       .flag = "--loss",
       .type = OptType::kText,
       .def = "l2",
       .help = fmt::format("{}, or a sum such as l1+0.5*ms-ssim", fmt::join(DistanceNames(), ", ")),
       .value = "LOSS"},
      {.key = "train.lpips_trunk",
       .flag = "--lpips-trunk",
       .type = OptType::kText,
       .def = "",
       .help = "weights of the trunk of lpips losses, a safetensors file (docs/lpips.md)",
       .value = "FILE",
       .only = kLpipsOnly},
      {.key = "train.lpips_heads",
       .flag = "--lpips-heads",
       .type = OptType::kText,
       .def = "",
       .help = "their linear heads [in the trunk's file]",
       .value = "FILE",
       .only = kLpipsOnly},
      {.key = "train.loss_cache",
       .flag = "--loss-cache",
       .type = OptType::kInt,
       .def = DefaultOf(static_cast<int64_t>(kDistanceCacheBytes >> 20)),
       .min = 0,
       .max = 1e7,
       .help = "MiB in which losses keep features of the teacher's samples",
       .only = "with a loss of features, self or lpips"},
      {.key = "train.iterations",
       .flag = "--iterations",
       .type = OptType::kInt,
       .def = DefaultOf(defaults.iterations),
       .min = 1,
       .max = 1e9,
       .help = "steps of Adam"},
      {.key = "train.batch",
       .flag = "--batch",
       .type = OptType::kInt,
       .def = DefaultOf(defaults.batch),
       .min = 1,
       .max = 65536,
       .help = "samples per step"},
      {.key = "train.lr",
       .flag = "--lr",
       .type = OptType::kReal,
       .def = DefaultOf(defaults.lr),
       .min = 1e-9,
       .max = 1,
       .help = "Adam step size"},
      {.key = "train.cosine",
       .flag = "--cosine",
       .type = OptType::kFlag,
       .def = "false",
       .help = "let the step size fall to zero along a cosine"},
      {.key = "train.ema",
       .flag = "--ema",
       .type = OptType::kReal,
       .def = DefaultOf(defaults.ema_decay),
       .min = 0,
       .max = 0.999999,
       .help = "decay of the average of the student; the average is the result"},
      {.key = "train.max_grad_norm",
       .flag = "--max-grad-norm",
       .type = OptType::kReal,
       .def = DefaultOf(defaults.max_grad_norm),
       .min = 1e-9,
       .max = 1e9,
       .help = "norm to which gradients are clipped"},
      {.key = "train.validate_every",
       .flag = "--validate-every",
       .type = OptType::kInt,
       .def = "100",
       .min = 0,
       .max = 1e9,
       .help = "iterations between validations, 0 for the end alone",
       .only = "with --held-out above 0"},
      {.key = "train.checkpoint_every",
       .flag = "--checkpoint-every",
       .type = OptType::kInt,
       .def = DefaultOf(defaults.checkpoint_every),
       .min = 0,
       .max = 1e9,
       .help = "iterations between checkpoints, 0 for the end alone"},
      {.key = "train.keep_activations",
       .flag = "--keep-activations",
       .type = OptType::kFlag,
       .def = "false",
       .help = "faster, but memory grows with the number of evaluations"},
      {.key = "train.seed",
       .flag = "--seed",
       .type = OptType::kInt,
       .def = "0",
       .min = 0,
       .max = 9e15,
       .help = "seed of the data order"},
      {.key = "train.out",
       .flag = "--out",
       .type = OptType::kText,
       .def = "runs/gs",
       .help = "run folder: solver.gas.json, checkpoints, log; an interrupted run continues from it",
       .value = "FOLDER"},
  };
  for (const auto& more : {AdversaryRows(), RunRows()}) rows.insert(rows.end(), more.begin(), more.end());
  return rows;
}

TrainingPairs Part(const TeacherData& data, int64_t begin, int64_t end) {
  return {end - begin, [&data, begin](const std::vector<int64_t>& indices) {
            std::vector<int64_t> shifted = indices;
            for (int64_t& index : shifted) index += begin;
            return data.Read(shifted);
          }};
}

struct LossSettings {
  std::string text;
  LpipsFiles lpips;
  uint64_t cache_bytes = kDistanceCacheBytes;
};

struct TrainSettings {
  ModelRequest model;
  std::string teacher;
  std::vector<int64_t> counts;
  int64_t held_out = 0;
  LossSettings loss;
  StudentConfig student;                       // steps and t_eps come with each count and with the data
  std::string init, grid;                      // where it begins
  std::optional<AdversarySettings> adversary;  // of the method gas
  GsTrainOptions training;                     // its run folder comes with each count
  std::filesystem::path out;

  const char* method() const { return adversary ? "gas" : "gs"; }
};

LossSettings ReadLoss(const Options& o) {
  LossSettings s{.text = o.Text("train.loss"), .lpips = {}};
  bool lpips = false, keeps_features = false;
  for (const WeightedName& term : ParseLoss(s.text, DistanceNames())) {
    lpips |= term.name.starts_with(kLpipsPrefix);
    keeps_features |= lpips || term.name == "features" || term.name == "self";
  }
  if (lpips) s.lpips = {o.Text("train.lpips_trunk"), o.Text("train.lpips_heads")};
  if (keeps_features) s.cache_bytes = static_cast<uint64_t>(o.Int("train.loss_cache")) << 20;
  return s;
}

GsTrainOptions ReadTraining(const Options& o, bool validates) {
  return {.run_folder = {},
          .iterations = o.Int("train.iterations"),
          .batch = o.Int("train.batch"),
          .lr = o.Real("train.lr"),
          .cosine = o.Flag("train.cosine"),
          .ema_decay = o.Real("train.ema"),
          .max_grad_norm = o.Real("train.max_grad_norm"),
          .seed = static_cast<uint64_t>(o.Int("train.seed")),
          .gradient_checkpointing = !o.Flag("train.keep_activations"),
          .validate_every = validates ? o.Int("train.validate_every") : 0,
          .checkpoint_every = o.Int("train.checkpoint_every"),
          .device = ReadDevice(o)};
}

TrainSettings ReadTrainSettings(const Options& o) {
  TrainSettings s{.model = ReadModelRequest(o),
                  .teacher = o.Text("train.teacher"),
                  .counts = o.IntList("student.nfe"),
                  .held_out = o.Int("train.held_out"),
                  .loss = ReadLoss(o),
                  .student = {.order = o.Int("student.order"),
                              .parametrization = o.Enum("student.parametrization", kParametrizationNames),
                              .base = o.Enum("student.base", kThirdOrderBaseNames),
                              .per_band = o.Flag("student.per_band")},
                  .init = o.Text("student.init"),
                  .out = o.Text("train.out")};
  if (s.init.empty() || s.init == kInitFit) s.grid = o.Text("student.grid");
  if (o.Enum("train.method", kTrainMethodNames) == TrainMethod::kGas) s.adversary = ReadAdversarySettings(o);
  s.training = ReadTraining(o, s.held_out > 0);
  return s;
}

Distance MakeLoss(const LossSettings& s, const Model& model) {
  const Distance distance =
      MakeDistance(s.text, {.features = [&] { return ReadFeatureModel(FeatureFileOf(model)).network; },
                            .encoder = model.encoder,
                            .lpips = s.lpips,
                            .device = model.device,
                            .cache_bytes = s.cache_bytes});
  if (!distance.source().is_null()) std::cerr << "train.loss: " << distance.source().dump() << '\n';
  return distance;
}

// The student before training.
Student StartOf(const TrainSettings& s, int64_t nfe, const Model& model,
                const std::shared_ptr<const TeacherData>& data) {
  const double t_eps = data->spec().t_eps;
  StudentConfig config = s.student;
  config.steps = nfe;
  config.t_eps = t_eps;
  if (s.init.empty()) return Student(config, model.schedule, MakeGrid(s.grid, *model.schedule, nfe, t_eps));
  if (s.init != kInitFit) {
    const ResolvedSolver solver = ResolveSolver(s.init, s.grid, nfe, model, t_eps);
    return Student::FromTable(solver.table, model.schedule, config);
  }
  const FitProblem problem = FitProblemFrom(data, s.teacher, model, {.held_out = s.held_out});
  const FitSolverOptions fit{.nfe = nfe, .grid = s.grid, .t_eps = t_eps};
  return Student::FromTable(FitSolver(fit, model.schedule, problem.sources, nullptr).fit.table,
                            model.schedule, config);
}

// One iteration as a line of the log.
nlohmann::json LogLine(const GsStep& step) {
  nlohmann::json line = {{"iteration", step.iteration}, {"loss", step.loss}, {"grad_norm", step.grad_norm}};
  if (step.validation >= 0) line["validation"] = step.validation;
  if (step.weight > 0) line["adversarial"] = step.adversarial;
  if (step.coverage >= 0) line["coverage"] = step.coverage;
  if (step.discriminator) {
    const DiscriminatorStep& d = *step.discriminator;
    line["discriminator"] = {{"loss", d.loss},
                             {"r1", d.r1},
                             {"r2", d.r2},
                             {"real_above_fake", d.real_above_fake},
                             {"grad_norm", d.grad_norm}};
  }
  if (!step.trouble.empty()) line["trouble"] = step.trouble;
  return line;
}

// Evaluations of one sample, forwards; a backward pass counts as two, and without kept activations the
// forward pass is made twice. The discriminator's fakes cost a forward pass each.
int64_t Evaluations(const TrainSettings& s, int64_t nfe, int64_t iterations) {
  const int64_t passes = s.training.gradient_checkpointing ? 4 : 3;
  const int64_t samples = iterations * s.training.batch;
  return nfe * (samples * passes + (s.adversary ? samples / s.adversary->options.every : 0));
}

SolverEntry TrainOne(const TrainSettings& s, const Options& o, int64_t nfe, const Model& model,
                     const std::shared_ptr<const TeacherData>& shared, const Distance& distance) {
  const TeacherData& data = *shared;
  const std::filesystem::path folder = s.out / ("nfe-" + std::to_string(nfe));
  Student student = StartOf(s, nfe, model, shared);
  const int64_t held_out = s.held_out;
  GAS_CHECK(held_out < data.size(), Errc::kBadOption, "train.held_out = ", held_out, ", must be below ",
            data.size(), ", the samples in ", s.teacher);
  const std::string method = s.method();
  const std::shared_ptr<Adversary> adversary =
      s.adversary ? MakeAdversary(*s.adversary, model, s.training.seed) : nullptr;
  GsTrainOptions training_options = s.training;
  training_options.run_folder = folder;
  GsTrainer trainer(student, model.denoiser, distance, training_options, adversary);
  const TrainingPairs training = Part(data, 0, data.size() - held_out);
  const TrainingPairs validation = Part(data, data.size() - held_out, data.size());
  MakeDirectory(folder);
  std::ofstream log(folder / "log.jsonl", std::ios::app);
  Progress progress(method + "-" + std::to_string(nfe), "iterations", s.training.iterations);
  double validated = -1;
  trainer.Run(training, validation, [&](const GsStep& step) {
    if (step.validation >= 0) validated = step.validation;
    if (!step.trouble.empty())
      std::cerr << "gas train: iteration " << step.iteration << ": " << step.trouble << '\n';
    log << LogLine(step).dump() << '\n' << std::flush;
    progress.Update(step.iteration, validated < 0
                                        ? fmt::format("loss {:.5f}", step.loss)
                                        : fmt::format("loss {:.5f}, held out {:.5f}", step.loss, validated));
  });
  const double seconds = progress.seconds();
  if (held_out > 0 && validated < 0) validated = trainer.Validate(validation).distance;
  SolverEntry entry;
  entry.table = student.TableOf(trainer.average()).Detached();
  entry.table.method = method;
  entry.t_eps = data.spec().t_eps;
  entry.student = student.config();
  entry.parameters = trainer.average();
  entry.provenance = {{"teacher", data.spec().ToJson()},
                      {"options", o.ToJson()},
                      {"iterations", trainer.iteration()},
                      {"training_samples", training.size},
                      {"held_out_samples", held_out},
                      {"network_evaluations", Evaluations(s, nfe, trainer.iteration())},
                      {"seconds", seconds},
                      {"peak_mebibytes", PeakMebibytes()},
                      {"held_out_distance", validated}};
  if (adversary) entry.provenance["adversary"] = adversary->options().ToJson();
  if (!distance.source().is_null()) entry.provenance["loss"] = distance.source();
  if (validated >= 0) {
    std::cout << fmt::format("{}-{}: held-out {} distance {:.6f} after {} iterations\n", method, nfe,
                             s.loss.text, validated, trainer.iteration());
  }
  return entry;
}

void RunTrain(const TrainSettings& s, const Options& o) {
  const auto data = std::make_shared<const TeacherData>(s.teacher);
  const Model model = s.model.OpenFor(*data, s.teacher);
  CheckTrainable(model);
  const Distance distance = MakeLoss(s.loss, model);
  PrepareRunFolder(s.out.string(), o);
  SolverFile file{.schedule = model.schedule,
                  .prediction = model.denoiser->prediction_type(),
                  .guidance = data->spec().guidance,
                  .model = model.name,
                  .model_sha256 = model.sha256,
                  .entries = {}};
  const std::filesystem::path path = s.out / "solver.gas.json";
  for (const int64_t nfe : s.counts) {
    file.entries[nfe] = TrainOne(s, o, nfe, model, data, distance);
    WriteSolverFile(path, file);
  }
  std::cout << path.string() << '\n';
}

Work PlanTrain(const Options& o) {
  return [&o, s = ReadTrainSettings(o)] { RunTrain(s, o); };
}

}  // namespace

Verb TrainVerb() {
  return {"train", "Trains a solver on teacher data; the network stays frozen.",
          "gas train --method gs --teacher runs/teacher --nfe 4 --out runs/gs4", TrainRows(), PlanTrain};
}

}  // namespace gas::cli
