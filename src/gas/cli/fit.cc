#include <iostream>

#include <fmt/format.h>

#include "gas/cli/common.h"
#include "gas/cli/fit_problem.h"
#include "gas/cli/machine.h"
#include "gas/cli/run.h"
#include "gas/core/error.h"
#include "gas/core/interrupt.h"
#include "gas/core/nearest.h"
#include "gas/features/classifier.h"
#include "gas/student/solver_file.h"
#include "gas/train/distance.h"

namespace gas::cli {
namespace {

std::vector<OptionRow> FitRows() {
  return {
      kModelRow,
      {.key = "student.nfe",
       .flag = "--nfe",
       .type = OptType::kText,
       .def = "4",
       .help = "network evaluations, or a list such as 3,4,5 (one file holds all)"},
      {.key = "fit.teacher",
       .flag = "--teacher",
       .type = OptType::kText,
       .def = "",
       .help = "folder of teacher data, best with states [made now, unipc-3-bh1 with 20 evaluations]"},
      {.key = "fit.trajectories",
       .flag = "--trajectories",
       .type = OptType::kInt,
       .def = "256",
       .min = 8,
       .max = 1e7,
       .help = "trajectories to fit (of seeds 0 up when made now)"},
      {.key = "fit.held_out",
       .flag = "--held-out",
       .type = OptType::kInt,
       .def = "64",
       .min = 1,
       .max = 1e7,
       .help = "further trajectories, which choose between candidates and whose error is reported"},
      {.key = "fit.guidance",
       .flag = "--guidance",
       .type = OptType::kText,
       .def = "1",
       .help = "guidance of trajectories made now: a scale, or a range 1..3 that the solver is to serve"},
      kTEpsRow,
      {.key = "student.grid", .flag = "--grid", .type = OptType::kText, .def = "logsnr", .help = "time grid"},
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
       .help = "time of the first evaluation, after a spectral jump from pure noise; 1 for no jump, or auto"},
      {.key = "fit.budget",
       .flag = "--budget",
       .type = OptType::kInt,
       .def = "0",
       .min = 0,
       .max = 1e15,
       .help = "network evaluations, each of one sample, that the search may spend for each nfe; 0 for no "
               "search"},
      {.key = "fit.search_samples",
       .flag = "--search-samples",
       .type = OptType::kInt,
       .def = "64",
       .min = 8,
       .max = 1e7,
       .help = "trajectories that the search begins with; as far as the budget goes it ends with all"},
      {.key = "fit.history",
       .flag = "--history",
       .type = OptType::kInt,
       .def = "0",
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
       .type = OptType::kText,
       .def = "l2",
       .help = "what the last row minimises: l2, l1, huber or features"},
      {.key = "fit.batch",
       .flag = "--batch",
       .type = OptType::kInt,
       .def = "64",
       .min = 4,
       .max = 65536,
       .help = "samples at once"},
      {.key = "fit.out",
       .flag = "--out",
       .type = OptType::kText,
       .def = "runs/fit",
       .help = "folder for solver.gas.json"},
      kDtypeRow,
      kDeviceRow,
      kThreadsRow,
  };
}

// The scale on which the absolute difference is smooth.
constexpr double kAbsoluteDelta = 1e-3;

// Not all of DistanceNames: an objective has to be a sum of squares, and cheap enough for differences.
void CheckLoss(const std::string& loss) {
  const std::vector<std::string> known = {"l2", "l1", "huber", "features"};
  GAS_CHECK(std::find(known.begin(), known.end(), loss) != known.end(), Errc::kBadOption, "fit.loss = ", loss,
            ": unknown, did you mean ", NearestName(loss, known), "?");
}

ObjectivePtr ObjectiveOf(const std::string& loss, const ModelCard& card) {
  if (loss == "l2") return nullptr;
  if (loss == "l1") return HuberObjective(kAbsoluteDelta);
  if (loss == "huber") return HuberObjective(kHuberDelta);
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

void ReadStart(const Options& o, const NoiseSchedule& schedule, FitSolverOptions& fit) {
  const std::string& text = o.Text("fit.start");
  if (text == "auto") {
    fit.start = StartChoice::kAuto;
    return;
  }
  char* end = nullptr;
  fit.start_time = std::strtod(text.c_str(), &end);
  GAS_CHECK(!text.empty() && *end == 0, Errc::kBadOption, "fit.start = ", text, ", must be a time, or auto");
  // 1 is the start of every schedule whose time is not sigma, and means no jump in any.
  fit.start =
      fit.start_time == 1.0 || fit.start_time == schedule.t_start() ? StartChoice::kNoise : StartChoice::kAt;
}

SolverEntry FitOne(const Options& o, int64_t nfe, const FitProblem& p, const SpectralBasisPtr& basis,
                   const ObjectivePtr& objective, const InterruptGuard& interrupt) {
  FitSolverOptions fit{.nfe = nfe,
                       .grid = o.Text("student.grid"),
                       .t_eps = p.t_eps,
                       .budget = o.Int("fit.budget"),
                       .fit = {.history = o.Int("fit.history"),
                               .preserve_constant = o.Flag("fit.preserve_constant"),
                               .equal_trajectories = o.Flag("fit.equal_trajectories"),
                               .basis = basis,
                               .objective = objective},
                       .step = Bfloat16Of(o) ? kBfloat16Step : kSingleStep};
  ReadStart(o, *p.models[0].schedule, fit);
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

void RunFit(const Options& o) {
  UseThreads(o);
  const std::vector<int64_t> counts = o.IntList("student.nfe");
  CheckLoss(o.Text("fit.loss"));  // before the teacher runs
  const FitSizes sizes{o.Int("fit.trajectories"), o.Int("fit.held_out"), o.Int("fit.search_samples"),
                       o.Int("fit.batch")};
  const std::string& folder = o.Text("fit.teacher");
  FitProblem p;
  if (folder.empty()) {
    p = FitProblemMadeNow(o, o.Real("solver.t_eps"), GuidanceScales(o.Text("fit.guidance")), sizes);
  } else {
    const auto data = std::make_shared<const TeacherData>(folder);
    p = FitProblemFrom(data, folder, OpenModelOf(*data, folder, o), sizes);
  }
  const Model& model = p.models[0];
  const ObjectivePtr objective = ObjectiveOf(o.Text("fit.loss"), model);
  SpectralBasisPtr basis;
  if (o.Int("fit.bands") > 1 || o.Text("fit.start") != "1") {
    MeasureSpectrum(p);
    basis = MakeSpectralBasis(model.shape, o.Int("fit.bands"), p.statistics->ChannelRotation());
  }
  PrepareRunFolder(o.Text("fit.out"), o);
  SolverFile file{.schedule = model.schedule,
                  .prediction = model.denoiser->prediction_type(),
                  .guidance = p.guidance[p.guidance.size() / 2],
                  .model = model.name,
                  .model_sha256 = model.sha256,
                  .entries = {}};
  const std::filesystem::path path = std::filesystem::path(o.Text("fit.out")) / "solver.gas.json";
  const InterruptGuard interrupt;
  for (const int64_t nfe : counts) {
    file.entries[nfe] = FitOne(o, nfe, p, basis, objective, interrupt);
    WriteSolverFile(path, file);
    if (interrupt.Requested()) break;
  }
  std::cout << path.string() << '\n';
}

}  // namespace

Verb FitVerb() {
  return {"fit", "Fits a solver in closed form: seconds, no backpropagation, any network that can be called.",
          "gas fit --model fashion --nfe 3,4,5,6,8,10 --bands 25 --start auto --out runs/fit", FitRows(),
          RunFit};
}

}  // namespace gas::cli
