#include "gas/teacher/solver_choice.h"

#include "gas/core/error.h"
#include "gas/solver/registry.h"
#include "gas/solver/solver_file.h"

namespace gas {

bool IsSolverFile(const std::string& solver) {
  return solver.find('/') != solver.npos || solver.ends_with(".json");
}

ResolvedSolver ResolveSolver(const std::string& solver, const std::string& grid, int64_t nfe,
                             const Model& model, double t_eps) {
  if (!IsSolverFile(solver)) {
    return {MakeSolverTable(solver, *model.schedule, grid, nfe, t_eps),
            solver + "-" + std::to_string(nfe),
            t_eps,
            {}};
  }
  const SolverFile file = ReadSolverFile(solver);
  GAS_CHECK(file.model_sha256.empty() || file.model_sha256 == model.sha256, Errc::kBadFile, solver,
            ": made for model ", file.model, " with SHA-256 ", file.model_sha256, ", not for ", model.name,
            " with ", model.sha256);
  GAS_CHECK(file.prediction == model.denoiser->prediction_type(), Errc::kBadFile, solver, ": made for ",
            kPredictionTypeNames.NameOf(file.prediction), " prediction, the model predicts ",
            kPredictionTypeNames.NameOf(model.denoiser->prediction_type()));
  const SolverEntry& entry = file.at(nfe);
  return {entry.table, entry.table.method + "-" + std::to_string(nfe), entry.t_eps, entry.provenance};
}

StepTable TeacherTableOf(const TeacherSpec& spec, const Model& model) {
  return ResolveSolver(spec.solver, spec.grid, spec.nfe, model, spec.t_eps).table;
}

}  // namespace gas
