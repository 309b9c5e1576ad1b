// A run of the fit from a model to a solver file, for one or several numbers of evaluations.
#ifndef GAS_FIT_FIT_RUN_H_
#define GAS_FIT_FIT_RUN_H_

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include "gas/core/enum_names.h"
#include "gas/fit/fit_problem.h"
#include "gas/fit/fit_solver.h"
#include "gas/models/model.h"
#include "gas/solver/solver_file.h"

namespace gas {

// Trajectories of a folder of teacher data.
struct FromTeacherFolder {
  std::string folder;
  // Opens the model of the data; throws if they were made with another one.
  std::function<Model(const TeacherData& data, const std::string& folder)> open_model;
};

// Trajectories that the run makes itself, shared out among guidance scales.
struct MadeByTheRun {
  std::function<Model(double guidance)> open_model;
  std::vector<double> guidance = {1};
};

// How much a fit may cost for each number of evaluations, as a share of what its teacher's trajectories cost.
enum class FitEffort { kQuick, kStandard, kThorough };
inline constexpr auto kFitEffortNames = NamesOf<FitEffort>(
    "fit.effort",
    {{FitEffort::kQuick, "quick"}, {FitEffort::kStandard, "standard"}, {FitEffort::kThorough, "thorough"}});
// 0.05, 1 and 8.
double ShareOfTeacher(FitEffort effort);

struct FitRunOptions {
  std::variant<MadeByTheRun, FromTeacherFolder> trajectories;
  FitSizes sizes;
  std::vector<int64_t> nfe = {4};
  // A budget of network evaluations, each of one sample, as FitSolverOptions has it, or an effort.
  std::variant<FitEffort, int64_t> budget = FitEffort::kStandard;
  // 1: a scalar table; more: a spectral one; none: what is best.
  std::optional<int64_t> bands = {};
  // Alike for every nfe: grid, start, step and fit. The run sets the rest, and of the fit basis, statistics
  // and objective. What is open is searched for if there is a budget; bands and starts only for states
  // [C,H,W].
  FitSolverOptions solver;
  // What is minimised with this model; empty, or null for a model: the squared error.
  std::function<ObjectivePtr(const Model& model)> objective_of;
  std::string loss = "l2", dtype = "float32";  // names of that objective and of the model's products
  std::string features = {};       // feature network that `open_model` puts in place of the model's own
  nlohmann::json lpips = nullptr;  // LpipsModel::source of that which the objective has
  std::string convolution = {};    // nn/convolution_plan.h's name of how it convolves; empty: direct
  // Exists once fits begin; solver.gas.json is written there after each nfe. Tables that are there already
  // and were made in the same way stay (solver/file_to_extend.h).
  std::filesystem::path folder;
  nlohmann::json record;  // stands in the provenance as "options"
};

// One number of evaluations, fitted and written.
struct FitRunPart {
  int64_t nfe = 0;
  FittedSolver solver;
  double seconds = 0;
};

struct SearchProgress {
  int64_t nfe = 0;
  std::string what;
  int64_t spent = 0, budget = 0;
  double best = 0;
};

// What a run tells while it goes on; all may be empty.
struct FitRunHooks {
  SamplesDone samples;  // while trajectories are made
  // What the search of one nfe is at, how much of its budget it has spent, and the least error of this step.
  std::function<void(const SearchProgress& progress)> search;
  std::function<void(const FitRunPart& part)> fitted;  // after each nfe
};

struct FitRunResult {
  SolverFile file;
  std::filesystem::path path;  // of the file
  std::vector<FitRunPart> parts;
  bool interrupted = false;  // the last part is the best so far
};

// Goes on from what an interrupted run has left in the folder, to the same bits on a CPU. Before anything is
// written that is compared with this run: Error(kBadFile) names what differs. SIGINT and SIGTERM
// (core/interrupt.h) end it with the best so far in the file, or, before there is any, by what CheckInterrupt
// throws. Throws what RunFolder, FitProblemFrom, MakeFitProblem, FitSolver and FileToExtend throw, the last
// of them and what a budget is refused for before anything is computed, and changes nothing in the folder
// then.
FitRunResult RunFit(const FitRunOptions& options, const FitRunHooks& hooks = {});

// What the run would hold at its peak, in bytes, and how many samples it would compute at once: as many as
// `o.sizes.batch` asks for or, with a limit in bytes, as many of them as fit. Opens the model and writes
// nothing. Throws Error(kBadOption) if not even the least batch fits.
struct FitForecast {
  int64_t bytes = 0, batch = 0;
};
FitForecast ForecastFit(const FitRunOptions& options, std::optional<int64_t> limit);

}  // namespace gas

#endif  // GAS_FIT_FIT_RUN_H_
