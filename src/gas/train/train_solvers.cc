#include "gas/train/train_solvers.h"

#include <algorithm>
#include <chrono>

#include "gas/core/device_memory.h"
#include "gas/core/error.h"
#include "gas/core/memory.h"
#include "gas/features/classifier.h"
#include "gas/fit/fit_problem.h"
#include "gas/grid/time_grid.h"
#include "gas/io/file.h"
#include "gas/io/json_lines.h"
#include "gas/io/run_folder.h"
#include "gas/io/temporary_files.h"
#include "gas/models/no_gradient.h"
#include "gas/solver/file_to_extend.h"
#include "gas/solver/sampler.h"
#include "gas/solver/solver_file.h"
#include "gas/train/beside_network.h"
#include "gas/train/training_log.h"

namespace gas {
namespace {

namespace fs = std::filesystem;

// In the provenance of a table: the fingerprint of its run.
constexpr TableMaker kTrainer = {.key = "train", .made = "trained"};
// What of a fingerprint belongs to one number of evaluations; all else must hold for every table of a file.
constexpr const char* kOfOneTable[] = {"student.steps", "student.order", "student.start"};

// What all numbers of evaluations share.
struct Problem {
  std::shared_ptr<const TeacherData> data;
  Model model;
  Distance distance;
  TrainingPairs training, validation;
};

Distance DistanceFor(const TrainSolversOptions& o, const Model& model) {
  return MakeDistance(
      o.loss,
      {.features = [&] { return ReadFeatureModelFor(FeatureFileOf(model), ImageShapeOf(model)).network; },
       .encoder = model.encoder,
       .codec = model.codec,
       .lpips = o.lpips,
       .device = model.device,
       .cache_bytes = o.loss_cache_bytes});
}

Problem OpenProblem(const TrainSolversOptions& o) {
  const auto data = std::make_shared<const TeacherData>(o.teacher);
  const Model model = o.open_model(*data);
  CheckTrainable(model);
  const Distance distance = DistanceFor(o, model);
  GAS_CHECK(o.held_out >= 0 && o.held_out < data->size(), Errc::kBadOption, "train.held_out = ", o.held_out,
            ", must be below ", data->size(), ", the samples in ", o.teacher.string());
  const int64_t others = data->size() - o.held_out;
  GAS_CHECK(o.samples >= 0 && o.samples <= others, Errc::kBadOption, "train.samples = ", o.samples,
            ", must be at most ", others, ", the samples in ", o.teacher.string(), " that are not held out");
  const int64_t training = o.samples > 0 ? o.samples : others;
  return {data, model, distance, PairsOf(*data, 0, training), PairsOf(*data, others, data->size())};
}

// What training begins from, and the evaluations that it took.
struct Start {
  Student student;
  int64_t evaluations = 0, teacher_evaluations = 0;
};

StudentConfig StudentConfigFor(const TrainSolversOptions& o, int64_t nfe, const Problem& problem) {
  StudentConfig config = o.student;
  config.steps = nfe;
  config.t_eps = problem.model.t_eps;
  return config;
}

// A fit to the trajectories that training will see, on its grid.
Start FittedStart(const TrainSolversOptions& o, int64_t nfe, const Problem& problem,
                  const TrainSolversHooks& hooks) {
  const double end = problem.data->spec().t_eps;
  GAS_CHECK(problem.model.t_eps == end, Errc::kBadOption, "t_eps = ", problem.model.t_eps, ", must be ", end,
            " for --init fit, where the trajectories in ", o.teacher.string(), " end");
  const FitProblem fit = FitProblemFrom(problem.data, o.teacher.string(), problem.model,
                                        {.held_out = problem.data->size() - problem.training.size()});
  const FitSolverOptions options{.nfe = nfe, .t_eps = end, .grid = o.grid};
  const InitialFit found = FitToTrainFrom(options, problem.model.schedule, fit.sources);
  if (hooks.begins_from_fit) hooks.begins_from_fit(nfe, found);
  return {Student::FromTable(found.table, problem.model.schedule, StudentConfigFor(o, nfe, problem)),
          found.evaluations, fit.teacher_evaluations};
}

Start StartFromSolver(const TrainSolversOptions& o, int64_t nfe, const Problem& problem,
                      const TrainSolversHooks& hooks) {
  const ResolvedSolver solver = ChosenSolver(o.init, "", nfe).On(problem.model, o.on_difference);
  if (hooks.begins_from) hooks.begins_from(solver);
  return {Student::FromTable(solver.table, problem.model.schedule, StudentConfigFor(o, nfe, problem))};
}

Start StartOf(const TrainSolversOptions& o, int64_t nfe, const Problem& problem,
              const TrainSolversHooks& hooks) {
  if (o.init == kInitFit) return FittedStart(o, nfe, problem, hooks);
  if (!o.init.empty()) return StartFromSolver(o, nfe, problem, hooks);
  const StudentConfig config = StudentConfigFor(o, nfe, problem);
  const SchedulePtr& schedule = problem.model.schedule;
  return {Student(config, schedule, MakeGrid(o.grid, *schedule, nfe, config.t_eps))};
}

// The run of one number of evaluations, with a folder of its own, and with what decides its result.
TrainingRunOptions RunOptionsFor(const TrainSolversOptions& o, int64_t nfe, const Problem& problem) {
  TrainingRunOptions run = o.run;
  run.folder = o.run.folder / ("nfe-" + std::to_string(nfe));
  run.device = problem.model.device;
  run.fingerprint = {{"model.sha256", problem.model.sha256},
                     {"train.teacher", problem.data->sha256()},
                     {"train.held_out", o.held_out},
                     {"train.loss", o.loss},
                     {"run.dtype", o.dtype}};
  // Runs from before there was a choice have no such entry.
  if (o.convolution != "direct") run.fingerprint["run.convolution"] = o.convolution;
  if (!problem.distance.source().is_null()) run.fingerprint["train.loss_files"] = problem.distance.source();
  if (!o.features.empty()) run.fingerprint["model.features"] = Sha256OfFile(FeatureFileOf(problem.model));
  if (o.adversary) run.fingerprint["adversary.discriminator"] = o.adversary->discriminator;
  return run;
}

// How the run that wrote a checkpoint made its steps.
struct StepsBefore {
  int64_t recomputed = 0, part = 0;
};

// What is trained for one number of evaluations, before it is.
struct Task {
  Start start;
  TrainingRunOptions run;
  Fingerprint fingerprint;
  std::optional<StepsBefore> before;  // of the run that goes on

  int64_t nfe() const { return start.student.config().steps; }
  bool GoesOn() const { return fs::exists(CheckpointIn(run.folder)); }
};

// Before anything is written, so that a run that is refused changes nothing. Nothing without a checkpoint
// that says how its steps were made.
std::optional<StepsBefore> CheckCheckpoint(const TrainSolversOptions& o, const Task& task) {
  if (!task.GoesOn()) return std::nullopt;
  const Checkpoint file(CheckpointIn(task.run.folder));
  CheckSameFingerprint(file, task.fingerprint);
  CheckIterations(file, o.trainer.iterations);
  const std::string recomputed(kRecomputedKey), part(kPartKey);
  if (!file.Has(recomputed)) return std::nullopt;
  const int64_t batch = task.run.batch;
  return StepsBefore{.recomputed = std::clamp<int64_t>(file.Int(recomputed), 0, task.nfe()),
                     .part = file.Has(part) ? std::clamp<int64_t>(file.Int(part), 1, batch) : batch};
}

Task TaskFor(const TrainSolversOptions& o, int64_t nfe, const Problem& problem,
             const TrainSolversHooks& hooks) {
  Task task{StartOf(o, nfe, problem, hooks), RunOptionsFor(o, nfe, problem), {}, {}};
  std::optional<AdversaryOptions> adversary;
  if (o.adversary) adversary = ResolvedOptions(*o.adversary);
  task.fingerprint = FingerprintOf(task.start.student, o.trainer, task.run, adversary ? &*adversary : nullptr,
                                   problem.training.size());
  task.before = CheckCheckpoint(o, task);
  return task;
}

// `now`, with what is a table's own as that of `entry` has it.
Fingerprint WithOwnOf(const SolverEntry& entry, Fingerprint now) {
  const nlohmann::json was = entry.provenance.value(kTrainer.key, nlohmann::json::object());
  for (const char* key : kOfOneTable) {
    now.erase(key);
    if (was.contains(key)) now[key] = was[key];
  }
  return now;
}

// The file of the run, with the tables that it has already. Throws Error(kBadFile) for those of another run:
// here they would be lost, or would stand beside tables that were trained otherwise.
SolverFile FileFor(const fs::path& path, const Model& model, const std::vector<Task>& tasks) {
  SolverFile file = NewSolverFile(model);
  const std::optional<SolverFile> earlier = FileToExtend(path);
  if (!earlier) return file;
  CheckSameHeader(*earlier, file, kTrainer);
  for (const auto& [nfe, entry] : earlier->entries) {
    const auto own =
        std::find_if(tasks.begin(), tasks.end(), [nfe = nfe](const Task& task) { return task.nfe() == nfe; });
    // Tables from before there was such an entry: that of the checkpoint, which was compared, is this run's.
    const bool says = entry.provenance.contains(kTrainer.key);
    if (!says && own != tasks.end() && own->GoesOn() && entry.student) continue;
    CheckMadeAlike(*earlier, nfe, kTrainer, kTrainer.key,
                   own != tasks.end() ? own->fingerprint : WithOwnOf(entry, tasks.front().fingerprint));
  }
  file.entries = earlier->entries;
  return file;
}

nlohmann::json ProvenanceOf(const TrainSolversOptions& o, const Problem& problem, const Task& task,
                            const TrainedSolver& solver) {
  nlohmann::json provenance = {{"teacher", problem.data->spec().ToJson()},
                               {kTrainer.key, task.fingerprint},
                               {"options", o.record},
                               {"iterations", solver.iterations},
                               {"training_samples", problem.training.size()},
                               {"held_out_samples", o.held_out},
                               {"network_evaluations", solver.evaluations},
                               {"seconds", solver.seconds},
                               {"peak_mebibytes", PeakMebibytes()}};
  if (solver.held_out_distance) provenance["held_out_distance"] = *solver.held_out_distance;
  if (solver.teacher_evaluations > 0) provenance["teacher_evaluations"] = solver.teacher_evaluations;
  if (o.adversary) provenance["adversary"] = ResolvedOptions(*o.adversary).ToJson();
  if (!problem.distance.source().is_null()) provenance["loss"] = problem.distance.source();
  return provenance;
}

SolverEntry EntryOf(const TrainSolversOptions& o, const Problem& problem, const Task& task,
                    const GsTrainer& trainer, const TrainedSolver& solver) {
  SolverEntry entry;
  entry.table = trainer.AverageTable();
  entry.table.method = o.method();
  entry.t_eps = problem.model.t_eps;
  entry.student = trainer.student().Record(trainer.average());
  entry.provenance = ProvenanceOf(o, problem, task, solver);
  return entry;
}

// The step of one number of evaluations, with all that it needs measured.
TrainingStep MeasureStep(const TrainSolversOptions& o, const Problem& problem, int64_t nfe) {
  TrainingStep step{.model = MeasureModel(problem.model, Passes::kBackward, o.run.batch),
                    .beside = MeasureBesideNetwork(problem.model, problem.distance, problem.training.size(),
                                                   o.loss_cache_bytes, o.adversary),
                    .evaluations = nfe,
                    .batch = o.run.batch};
  const TeacherData& data = *problem.data;
  step.beside.held += std::min(static_cast<int64_t>(kShardCacheBytes), data.size() * data.bytes_per_sample());
  return step;
}

// What `o.activations` says of a batch that is computed at once. `activation_bytes`: of one sample.
TrainingPlan PlanFor(const TrainSolversOptions& o, int64_t nfe, torch::Device device,
                     const std::function<int64_t()>& activation_bytes) {
  switch (o.activations) {
    case Activations::kKeep: return {.evaluations = nfe, .recomputed = 0, .part = o.run.batch};
    case Activations::kRecompute: return {.evaluations = nfe, .recomputed = nfe, .part = o.run.batch};
    case Activations::kAuto: break;
  }
  return PlanForFreeMemory(nfe, o.run.batch, activation_bytes(), FreeBytes(device));
}

// How the steps are made. A run that goes on does as it did, if that fits, so that it ends with the same
// bits.
TrainingPlan PlanOf(const TrainSolversOptions& o, const Problem& problem, const Task& task,
                    const TrainSolversHooks& hooks) {
  const int64_t nfe = task.nfe();
  const auto as_before = [&] {
    return TrainingPlan{.evaluations = nfe, .recomputed = task.before->recomputed, .part = task.before->part};
  };
  if (!o.memory && o.activations == Activations::kAuto && task.before) return as_before();
  TrainingPlan plan;
  if (o.memory) {
    const TrainingStep step = MeasureStep(o, problem, nfe);
    if (o.activations == Activations::kAuto && task.before && step.Bytes(as_before()) <= *o.memory)
      return as_before();
    plan = PlanForLimit(step, o.activations, *o.memory);
  } else {
    plan = PlanFor(o, nfe, problem.model.device, [&] { return ActivationBytes(problem.model); });
  }
  const bool measured = o.memory || o.activations == Activations::kAuto;
  if (measured && hooks.plan) hooks.plan(nfe, plan);
  return plan;
}

// Trains the task's student in place.
std::pair<SolverEntry, TrainedSolver> TrainOne(const TrainSolversOptions& o, const Problem& problem,
                                               Task& task, const TrainSolversHooks& hooks) {
  const int64_t nfe = task.nfe();
  const std::shared_ptr<Adversary> adversary =
      o.adversary ? MakeAdversary(*o.adversary, problem.model, o.run.seed) : nullptr;
  TrainedSolver solver{.nfe = nfe};
  const TrainingPlan plan = PlanOf(o, problem, task, hooks);
  solver.recomputed = plan.recomputed;
  solver.part = task.run.part = plan.part;
  GsTrainerOptions trainer_options = o.trainer;
  trainer_options.recomputed = solver.recomputed;
  GsTrainer trainer(task.start.student, problem.model.denoiser, problem.distance, trainer_options, adversary);
  TrainingRun run(trainer, task.run);
  MakeDirectory(task.run.folder);
  RemoveAbandonedTemporaries(task.run.folder);
  JsonLinesWriter log(LogIn(task.run.folder));
  if (hooks.begin) hooks.begin(nfe);
  const auto start = std::chrono::steady_clock::now();
  run.Run(problem.training, problem.validation, [&](const GsStep& step) {
    if (step.validation) solver.held_out_distance = step.validation;
    log.Add(LogLine(step));
    if (hooks.step) hooks.step(nfe, step);
  });
  solver.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  solver.iterations = trainer.iteration();
  solver.evaluations = task.start.evaluations + run.evaluations();
  solver.teacher_evaluations = task.start.teacher_evaluations;
  // A run that was already at its end has measured nothing.
  if (problem.validation.size() > 0 && !solver.held_out_distance) {
    solver.held_out_distance = run.Validate(problem.validation).distance;
  }
  return {EntryOf(o, problem, task, trainer, solver), solver};
}

}  // namespace

void CheckTrainable(const Model& model) {
  GAS_CHECK(model.has_gradient, Errc::kBadOption, NoGradientText(model.name));
}

TrainingForecast ForecastTraining(const TrainSolversOptions& o) {
  const Problem problem = OpenProblem(o);
  const int64_t nfe = *std::max_element(o.nfe.begin(), o.nfe.end());
  const TrainingStep step = MeasureStep(o, problem, nfe);
  const TrainingPlan plan =
      o.memory ? PlanForLimit(step, o.activations, *o.memory) : PlanFor(o, nfe, problem.model.device, [&] {
        return step.model.network.kept.Of(1, problem.model.device);
      });
  const TrainingPlan counted = step.Plan(plan.part, plan.kept());
  return {.bytes = step.Bytes(counted), .nfe = nfe, .plan = counted};
}

TrainSolversResult TrainSolvers(const TrainSolversOptions& o, const TrainSolversHooks& hooks) {
  const Problem problem = OpenProblem(o);
  if (hooks.loss_files && !problem.distance.source().is_null()) hooks.loss_files(problem.distance.source());
  const RunFolder folder(o.run.folder, "gas train");
  std::vector<Task> tasks;
  for (const int64_t nfe : o.nfe) tasks.push_back(TaskFor(o, nfe, problem, hooks));
  TrainSolversResult result{.file = o.run.folder / "solver.gas.json", .solvers = {}};
  SolverFile file = FileFor(result.file, problem.model, tasks);
  folder.WriteOptions(o.record);
  for (Task& task : tasks) {
    auto [entry, solver] = TrainOne(o, problem, task, hooks);
    file.entries[solver.nfe] = std::move(entry);
    WriteSolverFile(result.file, file);
    result.solvers.push_back(solver);
    if (hooks.trained) hooks.trained(solver);
  }
  return result;
}

}  // namespace gas
