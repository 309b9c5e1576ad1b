// The protocol that compares solvers: the same unseen seeds, the teacher's samples beside them, the same
// features.
#ifndef GAS_EVAL_EVALUATE_H_
#define GAS_EVAL_EVALUATE_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "gas/eval/quality.h"
#include "gas/models/model.h"
#include "gas/teacher/solver_choice.h"
#include "gas/teacher/teacher.h"

namespace gas {

// Real images to compare samples with.
struct RealImages {
  std::string folder;    // readable by ReadImageSet, split "train"
  int64_t count = 2000;  // evenly spread, or all if there are fewer
};

// An LPIPS to measure samples with.
struct AskedLpips {
  TrunkKind kind = TrunkKind::kVgg16;
  LpipsFiles files;
};

struct EvalOptions {
  std::vector<std::string> solvers;                  // names, and solver files
  std::string grid;                                  // of the named ones; "": each one's own
  OnDifference on_difference = OnDifference::kFail;  // of solver files; what is told: in the remarks
  std::vector<int64_t> counts;                       // network evaluations per sample
  int64_t blocks = 1;                                // equal parts of the samples, to measure apart
  std::optional<RealImages> real = {};
  std::optional<AskedLpips> lpips = {};
  int64_t batch = 64;
  // Called after each solver.
  std::function<void(int64_t done, int64_t all)> progress = {};
};

// All solvers with all counts, ready to run. Throws what ChosenSolver throws.
std::vector<ResolvedSolver> SolversOf(const EvalOptions& options, const Model& model);

struct EvalRecord {
  int64_t samples = 0, blocks = 1;
  std::string guidance = "1";        // GuidanceText
  std::vector<Quality> rows;         // the teacher first, then by count, then by solver
  nlohmann::json lpips = nullptr;    // LpipsModel::source of the LPIPS that was asked for
  std::vector<std::string> remarks;  // what was left out or differs, and why, a sentence each
};

// Runs each solver on the seeds of `data`, teacher data that `model` made. Features are those that the
// model's card names; without them, or where the samples do not fit them, only distances to the teacher are
// measured, as decoded images where the model has a codec. Solvers are resolved before anything runs, so that
// a wrong name costs no time. Throws Error(kBadOption) for blocks of less than two samples, and what
// ChosenSolver and the readers throw.
EvalRecord Evaluate(const TeacherData& data, const Model& model, const EvalOptions& options);

}  // namespace gas

#endif  // GAS_EVAL_EVALUATE_H_
