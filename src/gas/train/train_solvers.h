// A whole training run: from a folder of teacher data to a solver file, for one or several numbers of
// evaluations.
#ifndef GAS_TRAIN_TRAIN_SOLVERS_H_
#define GAS_TRAIN_TRAIN_SOLVERS_H_

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "gas/features/lpips.h"
#include "gas/memory/training_plan.h"
#include "gas/models/model.h"
#include "gas/teacher/solver_choice.h"
#include "gas/teacher/teacher_data.h"
#include "gas/train/initial_fit.h"
#include "gas/train/make_adversary.h"
#include "gas/train/training_run.h"

namespace gas {

// The name of a fit to the teacher data, in TrainSolversOptions::init.
inline constexpr std::string_view kInitFit = "fit";

struct TrainSolversOptions {
  std::filesystem::path teacher;  // folder of teacher data
  int64_t held_out = 200;         // its last samples, kept for validation
  int64_t samples = 0;            // its first ones, which are trained on; 0: all others
  // Opens the model of the data, with their guidance. Where it ends the solvers will.
  std::function<Model(const TeacherData&)> open_model;
  std::string dtype = "float32";  // of the model's products
  // The algorithm of its convolutions, by the name in nn/convolution_plan.h.
  std::string convolution = "direct";

  std::vector<int64_t> nfe = {4};
  StudentConfig student;  // steps and t_eps are set for each number of evaluations
  // What training begins from: a solver by name or file, or kInitFit; empty: the base solver.
  std::string init;
  std::string grid = "uniform";                      // of the base solver and of the fit
  OnDifference on_difference = OnDifference::kFail;  // of a solver file to begin from; kTell: see begins_from

  std::string loss = "l2";    // MakeDistance
  std::string features = {};  // network of `features` that `open_model` puts in place of the model's own
  LpipsFiles lpips;
  uint64_t loss_cache_bytes = kDistanceCacheBytes;

  Activations activations = Activations::kAuto;
  std::optional<int64_t> memory = {};  // bytes that the run may take; nothing: what there is
  GsTrainerOptions trainer;            // `recomputed` follows from `activations` and `memory`
  // folder: of the whole run; each number of evaluations has one in it. `part` follows from `memory`.
  TrainingRunOptions run;
  std::optional<AdversarySettings> adversary;

  nlohmann::json record;  // the options as the user gave them, for options.json and the solver file

  const char* method() const { return adversary ? "gas" : "gs"; }
};

struct TrainedSolver {
  int64_t nfe = 0, iterations = 0;
  int64_t recomputed = 0;                   // evaluations that each backward pass made again
  int64_t part = 0;                         // samples that were computed at once
  std::optional<double> held_out_distance;  // nothing without held-out samples
  // Of the network, each of one sample: of the fit to begin from, if there is one, and those that
  // TrainingRun::evaluations counts.
  int64_t evaluations = 0;
  int64_t teacher_evaluations = 0;  // for trajectories that the fit needed and the data have not
  double seconds = 0;
};

// What a run tells while it goes on; all may be empty.
struct TrainSolversHooks {
  std::function<void(const nlohmann::json& source)> loss_files;     // files that the loss was read from
  std::function<void(int64_t nfe, const TrainingPlan& plan)> plan;  // where it was measured
  std::function<void(const ResolvedSolver& solver)> begins_from;    // a solver by name or file
  std::function<void(int64_t nfe, const InitialFit& fit)> begins_from_fit;
  std::function<void(int64_t nfe)> begin;
  std::function<void(int64_t nfe, const GsStep& step)> step;
  std::function<void(const TrainedSolver& solver)> trained;
};

struct TrainSolversResult {
  std::filesystem::path file;  // solver.gas.json
  std::vector<TrainedSolver> solvers;
};

// Throws Error(kBadOption) for a model whose solver cannot be trained by gradients.
void CheckTrainable(const Model& model);

// Continues what an interrupted run has left in the folder; the result has the same bits on a CPU. Tables of
// other numbers of evaluations that the folder's file has stay. Before anything is written every checkpoint
// and the file (solver/file_to_extend.h) are compared with the run: Error(kBadFile) names what differs, and
// leaves the folder as it is. Throws Error(kBadOption) for options that do not fit model or data, and what
// the trainer throws.
TrainSolversResult TrainSolvers(const TrainSolversOptions& options, const TrainSolversHooks& hooks = {});

// What the run would hold at its peak, of the number of evaluations that takes most; nothing is written.
struct TrainingForecast {
  int64_t bytes = 0;
  int64_t nfe = 0;
  TrainingPlan plan;
};
TrainingForecast ForecastTraining(const TrainSolversOptions& options);

}  // namespace gas

#endif  // GAS_TRAIN_TRAIN_SOLVERS_H_
