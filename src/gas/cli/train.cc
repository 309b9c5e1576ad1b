#include <fstream>
#include <iostream>

#include <fmt/format.h>

#include "gas/cli/adversary_options.h"
#include "gas/cli/common.h"
#include "gas/cli/fit_problem.h"
#include "gas/cli/machine.h"
#include "gas/cli/run.h"
#include "gas/core/error.h"
#include "gas/grid/time_grid.h"
#include "gas/io/file.h"
#include "gas/models/features/classifier.h"
#include "gas/student/solver_file.h"
#include "gas/train/gs_trainer.h"

namespace gas::cli {
namespace {

std::vector<OptionRow> TrainRows() {
  std::vector<OptionRow> rows = {
      kModelRow,
      {.key = "train.method",
       .flag = "--method",
       .type = OptType::kText,
       .def = "gs",
       .help = "gs, or gas: with an adversary beside the distance"},
      {.key = "train.teacher",
       .flag = "--teacher",
       .type = OptType::kText,
       .def = "runs/teacher",
       .help = "folder of teacher data (gas teacher)"},
      {.key = "train.held_out",
       .flag = "--held-out",
       .type = OptType::kInt,
       .def = "200",
       .min = 0,
       .max = 1e9,
       .help = "last samples of the folder, kept for validation"},
      {.key = "student.nfe",
       .flag = "--nfe",
       .type = OptType::kText,
       .def = "4",
       .help = "network evaluations, one number or several such as 4,5,6"},
      {.key = "student.order",
       .flag = "--order",
       .type = OptType::kInt,
       .def = "0",
       .min = 0,
       .max = 1000,
       .help = "earlier evaluations that a step uses, at most nfe; 0 for all"},
      {.key = "student.base",
       .flag = "--base",
       .type = OptType::kText,
       .def = "published",
       .help = "third-order base: published, or corrected"},
      {.key = "student.parametrization",
       .flag = "--parametrization",
       .type = OptType::kText,
       .def = "theory",
       .help = "what is trained: theory (corrections to the base solver), times (alone), lms (free "
               "coefficients), lms-pc (with "
               "a corrector), or reference-free"},
      {.key = "student.grid",
       .flag = "--grid",
       .type = OptType::kText,
       .def = "uniform",
       .help = "time grid at the start of training"},
      {.key = "student.init",
       .flag = "--init",
       .type = OptType::kText,
       .def = "",
       .help = "where to start: a solver file, whose tables are reproduced exactly, or fit for a closed-form "
               "fit to the "
               "first 256 samples on --grid [the base solver on --grid]"},
      {.key = "student.per_band",
       .flag = "--per-band",
       .type = OptType::kFlag,
       .def = "false",
       .help = "train corrections of each band of a spectral table"},
      {.key = "train.loss",
       .flag = "--loss",
       .type = OptType::kText,
       .def = "l2",
       .help =
           "l2, l1, huber, features, self, ms-ssim, lpips-vgg, lpips-alex, lpips-squeeze, or a sum such as "
           "l1+0.5*ms-ssim"},
      {.key = "train.lpips_trunk",
       .flag = "--lpips-trunk",
       .type = OptType::kText,
       .def = "",
       .help = "weights of the trunk of lpips losses, a safetensors file (docs/lpips.md)"},
      {.key = "train.lpips_heads",
       .flag = "--lpips-heads",
       .type = OptType::kText,
       .def = "",
       .help = "their linear heads [in the trunk's file]"},
      {.key = "train.loss_cache",
       .flag = "--loss-cache",
       .type = OptType::kInt,
       .def = "2048",
       .min = 0,
       .max = 1e7,
       .help = "MiB in which losses keep features of the teacher's samples"},
      {.key = "train.iterations",
       .flag = "--iterations",
       .type = OptType::kInt,
       .def = "1000",
       .min = 1,
       .max = 1e9,
       .help = "steps of Adam"},
      {.key = "train.batch",
       .flag = "--batch",
       .type = OptType::kInt,
       .def = "24",
       .min = 1,
       .max = 65536,
       .help = "samples per step"},
      {.key = "train.lr",
       .flag = "--lr",
       .type = OptType::kReal,
       .def = "1e-3",
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
       .def = "0.999",
       .min = 0,
       .max = 0.999999,
       .help = "decay of the average, which is the result"},
      {.key = "train.max_grad_norm",
       .flag = "--max-grad-norm",
       .type = OptType::kReal,
       .def = "1",
       .min = 1e-9,
       .max = 1e9,
       .help = "norm to which gradients are clipped"},
      {.key = "train.validate_every",
       .flag = "--validate-every",
       .type = OptType::kInt,
       .def = "100",
       .min = 0,
       .max = 1e9,
       .help = "iterations between validations, 0 for the end alone"},
      {.key = "train.checkpoint_every",
       .flag = "--checkpoint-every",
       .type = OptType::kInt,
       .def = "100",
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
       .help = "run folder: solver.gas.json, checkpoints, log; an interrupted run continues from it"},
      kDtypeRow,
      kDeviceRow,
      kThreadsRow,
  };
  const std::vector<OptionRow> adversary = AdversaryRows();
  rows.insert(rows.end() - 3, adversary.begin(), adversary.end());
  return rows;
}

TrainingPairs Part(const TeacherData& data, int64_t begin, int64_t end) {
  return {end - begin, [&data, begin](const std::vector<int64_t>& indices) {
            std::vector<int64_t> shifted = indices;
            for (int64_t& index : shifted) index += begin;
            return data.Read(shifted);
          }};
}

GsTrainOptions TrainOptions(const Options& o, const std::filesystem::path& folder) {
  return {.run_folder = folder,
          .iterations = o.Int("train.iterations"),
          .batch = o.Int("train.batch"),
          .lr = o.Real("train.lr"),
          .cosine = o.Flag("train.cosine"),
          .ema_decay = o.Real("train.ema"),
          .max_grad_norm = o.Real("train.max_grad_norm"),
          .seed = static_cast<uint64_t>(o.Int("train.seed")),
          .gradient_checkpointing = !o.Flag("train.keep_activations"),
          .validate_every = o.Int("train.validate_every"),
          .checkpoint_every = o.Int("train.checkpoint_every"),
          .device = DeviceOf(o)};
}

Distance DistanceOf(const Options& o, const Model& model) {
  const Distance distance =
      MakeDistance(o.Text("train.loss"),
                   {.features = [] { return ReadFeatureModel(EmbeddedFile("fashion-features")).network; },
                    .network = model.network,
                    .lpips = {o.Text("train.lpips_trunk"), o.Text("train.lpips_heads")},
                    .device = DeviceOf(o),
                    .cache_bytes = static_cast<uint64_t>(o.Int("train.loss_cache")) << 20});
  if (!distance.source().is_null()) std::cerr << "train.loss: " << distance.source().dump() << '\n';
  return distance;
}

// The student before training.
Student StartOf(const Options& o, int64_t nfe, const Model& model,
                const std::shared_ptr<const TeacherData>& data) {
  const std::string& base = o.Text("student.base");
  GAS_CHECK(base == "published" || base == "corrected", Errc::kBadOption, "student.base = ", base,
            ", must be published or corrected");
  const double t_eps = data->spec().t_eps;
  const StudentConfig config{
      .steps = nfe,
      .order = o.Int("student.order"),
      .parametrization = kParametrizationNames.FromName(o.Text("student.parametrization")),
      .base = base == "published" ? ThirdOrderBase::kPublished : ThirdOrderBase::kCorrected,
      .t_eps = t_eps,
      .per_band = o.Flag("student.per_band")};
  const std::string &init = o.Text("student.init"), &grid = o.Text("student.grid");
  if (init.empty()) return Student(config, model.schedule, MakeGrid(grid, *model.schedule, nfe, t_eps));
  if (init != "fit")
    return Student::FromTable(ResolveSolver(init, grid, nfe, model, t_eps).table, model.schedule, config);
  const FitProblem problem =
      FitProblemFrom(data, o.Text("train.teacher"), model, {.held_out = o.Int("train.held_out")});
  const FitSolverOptions fit{.nfe = nfe, .grid = grid, .t_eps = t_eps};
  return Student::FromTable(FitSolver(fit, model.schedule, problem.sources, nullptr).fit.table,
                            model.schedule, config);
}

bool IsAdversarial(const Options& o) { return o.Text("train.method") == "gas"; }

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
int64_t Evaluations(const Options& o, int64_t nfe, int64_t iterations) {
  const int64_t passes = o.Flag("train.keep_activations") ? 3 : 4;
  const int64_t samples = iterations * o.Int("train.batch");
  return nfe * (samples * passes + (IsAdversarial(o) ? samples / o.Int("adversary.every") : 0));
}

SolverEntry TrainOne(const Options& o, int64_t nfe, const Model& model,
                     const std::shared_ptr<const TeacherData>& shared, const Distance& distance) {
  const TeacherData& data = *shared;
  const std::filesystem::path folder =
      std::filesystem::path(o.Text("train.out")) / ("nfe-" + std::to_string(nfe));
  Student student = StartOf(o, nfe, model, shared);
  const int64_t held_out = o.Int("train.held_out");
  GAS_CHECK(held_out < data.size(), Errc::kBadOption, "train.held_out = ", held_out, ", must be below ",
            data.size(), ", the samples in ", o.Text("train.teacher"));
  const std::string& method = o.Text("train.method");
  const uint64_t seed = static_cast<uint64_t>(o.Int("train.seed"));
  const std::shared_ptr<Adversary> adversary = IsAdversarial(o) ? MakeAdversary(o, model, seed) : nullptr;
  GsTrainer trainer(student, model.denoiser, distance, TrainOptions(o, folder), adversary);
  const TrainingPairs training = Part(data, 0, data.size() - held_out);
  const TrainingPairs validation = Part(data, data.size() - held_out, data.size());
  MakeDirectory(folder);
  std::ofstream log(folder / "log.jsonl", std::ios::app);
  Progress progress(method + "-" + std::to_string(nfe), "iterations", o.Int("train.iterations"));
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
                      {"network_evaluations", Evaluations(o, nfe, trainer.iteration())},
                      {"seconds", seconds},
                      {"peak_mebibytes", PeakMebibytes()},
                      {"held_out_distance", validated}};
  if (adversary) entry.provenance["adversary"] = adversary->options().ToJson();
  if (!distance.source().is_null()) entry.provenance["loss"] = distance.source();
  if (validated >= 0) {
    std::cout << fmt::format("{}-{}: held-out {} distance {:.6f} after {} iterations\n", method, nfe,
                             o.Text("train.loss"), validated, trainer.iteration());
  }
  return entry;
}

void RunTrain(const Options& o) {
  UseThreads(o);
  GAS_CHECK(o.Text("train.method") == "gs" || IsAdversarial(o), Errc::kBadOption,
            "train.method = ", o.Text("train.method"), ", must be gs or gas");
  for (const OptionRow& row : AdversaryRows()) {
    GAS_CHECK(IsAdversarial(o) || !o.Given(row.key), Errc::kBadOption, row.key, " = ", o.Text(row.key),
              ": has no effect without --method gas");
  }
  const auto data = std::make_shared<const TeacherData>(o.Text("train.teacher"));
  const Model model = OpenModelOf(*data, o.Text("train.teacher"), o);
  CheckTrainable(model);
  const Distance distance = DistanceOf(o, model);
  PrepareRunFolder(o.Text("train.out"), o);
  SolverFile file{.schedule = model.schedule,
                  .prediction = model.denoiser->prediction_type(),
                  .guidance = data->spec().guidance,
                  .model = model.name,
                  .model_sha256 = model.sha256,
                  .entries = {}};
  const std::filesystem::path path = std::filesystem::path(o.Text("train.out")) / "solver.gas.json";
  for (const int64_t nfe : o.IntList("student.nfe")) {
    file.entries[nfe] = TrainOne(o, nfe, model, data, distance);
    WriteSolverFile(path, file);
  }
  std::cout << path.string() << '\n';
}

}  // namespace

Verb TrainVerb() {
  return {"train", "Trains a solver on teacher data; the network stays frozen.",
          "gas train --method gs --teacher runs/teacher --nfe 4 --out runs/gs4", TrainRows(), RunTrain};
}

}  // namespace gas::cli
