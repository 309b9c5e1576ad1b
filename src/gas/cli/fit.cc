#include <iostream>

#include <fmt/format.h>

#include "gas/cli/fit_problem.h"
#include "gas/cli/model_options.h"
#include "gas/cli/run.h"
#include "gas/cli/run_folder.h"
#include "gas/core/error.h"
#include "gas/core/interrupt.h"
#include "gas/core/memory.h"
#include "gas/core/progress.h"
#include "gas/features/classifier.h"
#include "gas/solver/solver_file.h"
#include "gas/train/distance.h"

namespace gas::cli {
namespace {

// What the last row minimises. Not all of DistanceNames: an objective has to be a sum of squares, and cheap
// enough for differences.
enum class FitLoss { kL2, kL1, kHuber, kFeatures };
constexpr auto kFitLossNames = NamesOf<FitLoss>("fit.loss", {{FitLoss::kL2, "l2"},
                                                             {FitLoss::kL1, "l1"},
                                                             {FitLoss::kHuber, "huber"},
                                                             {FitLoss::kFeatures, "features"}});

constexpr const char* kMadeNow = "without --teacher";

std::vector<OptionRow> FitRows() {
  return {
      ModelRow(),
      {.key = "student.nfe",
       .flag = "--nfe",
       .type = OptType::kText,
       .def = DefaultOf(FitSolverOptions{}.nfe),
       .help = "network evaluations, or a list such as 3,4,5 (one file holds all)",
       .value = "COUNTS"},
      {.key = "fit.teacher",
       .flag = "--teacher",
       .type = OptType::kText,
       .def = "",
       .help = fmt::format("folder of teacher data, best with states [made now, {} with {} evaluations]",
                           kTeacherSolver, kTeacherNfe),
       .value = "FOLDER"},
      {.key = "fit.trajectories",
       .flag = "--trajectories",
       .type = OptType::kInt,
       .def = DefaultOf(FitSizes{}.training),
       .min = 8,
       .max = 1e7,
       .help = "trajectories to fit (of seeds 0 up when made now)"},
      {.key = "fit.held_out",
       .flag = "--held-out",
       .type = OptType::kInt,
       .def = DefaultOf(FitSizes{}.held_out),
       .min = 1,
       .max = 1e7,
       .help = "further trajectories: they choose between candidates, and their error is reported"},
      {.key = "fit.guidance",
       .flag = "--guidance",
       .type = OptType::kText,
       .def = "1",
       .help =
           "guidance of trajectories made now: a scale, or a range such as 1..3 for a solver that serves all "
           "of it",
       .value = "SCALES",
       .only = kMadeNow},
      Only(kMadeNow, TEpsRow()),
      {.key = "student.grid",
       .flag = "--grid",
       .type = OptType::kText,
       .def = FitSolverOptions{}.grid,
       .help = "time grid (gas grids), where a search begins",
       .value = "GRID"},
      {.key = "fit.bands",
       .flag = "--bands",
       .type = OptType::kInt,
       .def = "1",
       .min = 1,
       .max = 1000,
       .help = "frequency bands with coefficients of their own, 1 for a scalar table"},
      {.key = "fit.start",
       .flag = "--start",
       .type = OptType::kText,
       .def = "1",
       .help = "time of the first evaluation, after a spectral jump from pure noise; 1 for no jump, or auto",
       .value = "TIME"},
      {.key = "fit.budget",
       .flag = "--budget",
       .type = OptType::kInt,
       .def = DefaultOf(FitSolverOptions{}.budget),
       .min = 0,
       .max = 1e15,
       .help =
           "network evaluations of one sample each that the search may spend for each nfe; 0 for no search"},
      {.key = "fit.search_samples",
       .flag = "--search-samples",
       .type = OptType::kInt,
       .def = DefaultOf(FitSizes{}.search),
       .min = 8,
       .max = 1e7,
       .help = "trajectories that the search begins with; it ends with all if the budget allows",
       .only = "with --budget"},
      {.key = "fit.history",
       .flag = "--history",
       .type = OptType::kInt,
       .def = DefaultOf(FitOptions{}.history),
       .min = 0,
       .max = 1000,
       .help = "predictions that a row uses, 0 for all"},
      {.key = "fit.preserve_constant",
       .flag = "--preserve-constant",
       .type = OptType::kFlag,
       .def = "false",
       .help = "keep constant predictions constant, exactly"},
      {.key = "fit.equal_trajectories",
       .flag = "--equal-trajectories",
       .type = OptType::kFlag,
       .def = "false",
       .help = "weigh each trajectory by the inverse variance of its sample"},
      {.key = "fit.loss",
       .flag = "--loss",
       .type = OptType::kChoice,
       .def = DefaultOf(kFitLossNames.NameOf(FitLoss::kL2)),
       .help = "what the last row minimises",
       .choices = kFitLossNames.choices()},
      {.key = "fit.batch",
       .flag = "--batch",
       .type = OptType::kInt,
       .def = DefaultOf(FitSizes{}.batch),
       .min = 4,
       .max = 65536,
       .help = "samples at once"},
      {.key = "fit.out",
       .flag = "--out",
       .type = OptType::kText,
       .def = "runs/fit",
       .help = "folder for solver.gas.json",
       .value = "FOLDER"},
      DtypeRow(),
      DeviceRow(),
      ThreadsRow(),
  };
}

// The scale on which the absolute difference is smooth.
constexpr double kAbsoluteDelta = 1e-3;

ObjectivePtr MakeObjective(FitLoss loss, const ModelCard& card) {
  switch (loss) {
    case FitLoss::kL2: return nullptr;
    case FitLoss::kL1: return HuberObjective(kAbsoluteDelta);
    case FitLoss::kHuber: return HuberObjective(kHuberDelta);
    case FitLoss::kFeatures: break;
  }
  const std::shared_ptr<FeatureNetwork> network = ReadFeatureModel(FeatureFileOf(card)).network;
  network->To(torch::kCPU, torch::kFloat64);
  return EmbeddingObjective([network](const Tensor& images) { return network->Embedding(images); });
}

// "2" or "1..3": the ends, and the middle of a range.
std::vector<double> GuidanceScales(const std::string& text) {
  const auto number = [&](const std::string& part) {
    try {
      size_t used = 0;
      const double value = std::stod(part, &used);
      if (used == part.size() && std::isfinite(value)) return value;
    } catch (const std::exception&) {
    }
    Fail(Errc::kBadOption, "fit.guidance = ", text, ", must be a number such as 2 or a range such as 1..3");
  };
  const size_t dots = text.find("..");
  if (dots == text.npos) return {number(text)};
  const double low = number(text.substr(0, dots)), high = number(text.substr(dots + 2));
  GAS_CHECK(low < high, Errc::kBadOption, "fit.guidance = ", text, ", must ascend");
  return {low, (low + high) / 2, high};
}

struct FitSettings {
  ModelRequest model;
  std::vector<int64_t> counts;
  std::string teacher;           // "": trajectories are made now
  std::vector<double> guidance;  // of those
  FitSizes sizes;
  int64_t bands = 1;
  std::optional<double> start_time = 1.0;  // none: where the held-out error is least
  FitLoss loss = FitLoss::kL2;
  FitSolverOptions solver;  // alike for every count
  std::filesystem::path out;
};

// A time, or none for auto.
std::optional<double> ParseStart(const std::string& text) {
  if (text == "auto") return std::nullopt;
  char* end = nullptr;
  const double time = std::strtod(text.c_str(), &end);
  GAS_CHECK(!text.empty() && *end == 0, Errc::kBadOption, "fit.start = ", text, ", must be a time, or auto");
  return time;
}

FitSettings ReadFitSettings(const Options& o) {
  FitSettings s{.model = ReadModelRequest(o),
                .counts = o.IntList("student.nfe"),
                .teacher = o.Text("fit.teacher"),
                .sizes = {.training = o.Int("fit.trajectories"),
                          .held_out = o.Int("fit.held_out"),
                          .batch = o.Int("fit.batch")},
                .bands = o.Int("fit.bands"),
                .start_time = ParseStart(o.Text("fit.start")),
                .loss = o.Enum("fit.loss", kFitLossNames),
                .solver = {.grid = o.Text("student.grid"),
                           .budget = o.Int("fit.budget"),
                           .fit = {.history = o.Int("fit.history"),
                                   .preserve_constant = o.Flag("fit.preserve_constant"),
                                   .equal_trajectories = o.Flag("fit.equal_trajectories")}},
                .out = o.Text("fit.out")};
  if (s.solver.budget > 0) s.sizes.search = o.Int("fit.search_samples");
  if (s.model.options.bfloat16) s.solver.step = kBfloat16Step;
  if (s.teacher.empty()) {
    s.model.options.t_eps = o.Real("solver.t_eps");
    s.guidance = GuidanceScales(o.Text("fit.guidance"));
  }
  return s;
}

void SetStart(std::optional<double> time, const NoiseSchedule& schedule, FitSolverOptions& fit) {
  if (!time) {
    fit.start = StartChoice::kAuto;
    return;
  }
  fit.start_time = *time;
  // 1 is the start of every schedule whose time is not sigma, and means no jump in any.
  fit.start = *time == 1.0 || *time == schedule.t_start() ? StartChoice::kNoise : StartChoice::kAt;
}

SolverEntry FitOne(const FitSettings& s, const Options& o, int64_t nfe, const FitProblem& p,
                   const SpectralBasisPtr& basis, const ObjectivePtr& objective,
                   const InterruptGuard& interrupt) {
  FitSolverOptions fit = s.solver;
  fit.nfe = nfe;
  fit.t_eps = p.t_eps;
  fit.fit.basis = basis;
  fit.fit.objective = objective;
  SetStart(s.start_time, *p.models[0].schedule, fit);
  Progress progress("fit-" + std::to_string(nfe), "evaluations", std::max<int64_t>(1, fit.budget));
  fit.report = [&](int64_t spent, double best) {
    progress.Update(std::min(spent, fit.budget), fmt::format("best {:.6f}", best));
    return !interrupt.Requested();
  };
  const FittedSolver found = FitSolver(fit, p.models[0].schedule, p.sources, p.statistics.get());
  const double seconds = progress.seconds();
  SolverEntry entry;
  entry.table = found.fit.table;
  entry.t_eps = p.t_eps;
  nlohmann::json rows = nlohmann::json::array();
  for (const FitRow& row : found.fit.rows)
    rows.push_back({{"cross_validated_error", row.error}, {"ridge", row.ridge}});
  nlohmann::json stages = nlohmann::json::array();
  for (const SearchStage& stage : found.stages) {
    stages.push_back({{"what", stage.what},
                      {"trajectories", stage.trajectories},
                      {"rounds", stage.rounds},
                      {"network_evaluations", stage.evaluations},
                      {"cross_validated_error", stage.error}});
  }
  entry.provenance = {{"teacher", p.teacher},
                      {"options", o.ToJson()},
                      {"rows", rows},
                      {"held_out_distance", found.held_out},
                      {"held_out_distance_dpmpp_3m", found.base_held_out},
                      {"start_time", found.start_time},
                      {"searched", found.searched},
                      {"search", stages},
                      {"interrupted", found.interrupted},
                      {"network_evaluations", found.evaluations},
                      {"teacher_evaluations", p.teacher_evaluations},
                      {"seconds", seconds},
                      {"peak_mebibytes", PeakMebibytes()}};
  std::cout
      << fmt::format(
             "fit-{}: held-out distance {:.6f}, {:.3f} of dpmpp-3m on {}; start at t = {:.4g}{}; {} network "
             "evaluations, {:.1f} s\n",
             nfe, found.held_out, found.held_out / found.base_held_out, fit.grid, found.start_time,
             found.searched ? ", searched times" : "", found.evaluations, seconds)
      << std::flush;
  return entry;
}

FitProblem MakeProblem(const FitSettings& s) {
  if (s.teacher.empty()) return FitProblemMadeNow(s.model, s.guidance, s.sizes);
  const auto data = std::make_shared<const TeacherData>(s.teacher);
  return FitProblemFrom(data, s.teacher, s.model.OpenFor(*data, s.teacher), s.sizes);
}

void RunFit(const FitSettings& s, const Options& o) {
  FitProblem p = MakeProblem(s);
  const Model& model = p.models[0];
  const ObjectivePtr objective = MakeObjective(s.loss, model);
  SpectralBasisPtr basis;
  if (s.bands > 1 || s.start_time != 1.0) {
    MeasureSpectrum(p);
    basis = MakeSpectralBasis(model.shape, s.bands, p.statistics->ChannelRotation());
  }
  PrepareRunFolder(s.out.string(), o);
  SolverFile file{.schedule = model.schedule,
                  .prediction = model.denoiser->prediction_type(),
                  .guidance = p.guidance[p.guidance.size() / 2],
                  .model = model.name,
                  .model_sha256 = model.sha256,
                  .entries = {}};
  const std::filesystem::path path = s.out / "solver.gas.json";
  const InterruptGuard interrupt;
  for (const int64_t nfe : s.counts) {
    file.entries[nfe] = FitOne(s, o, nfe, p, basis, objective, interrupt);
    WriteSolverFile(path, file);
    if (interrupt.Requested()) break;
  }
  std::cout << path.string() << '\n';
}

Work PlanFit(const Options& o) {
  return [&o, s = ReadFitSettings(o)] { RunFit(s, o); };
}

}  // namespace

Verb FitVerb() {
  return {"fit", "Fits a solver in closed form: seconds, no backpropagation, any network that can be called.",
          "gas fit --model fashion --nfe 3,4,5,6,8,10 --bands 25 --start auto --out runs/fit", FitRows(),
          PlanFit};
}

}  // namespace gas::cli
