// A solver as people name it, by method or by file, made ready to run.
#ifndef GAS_TEACHER_SOLVER_CHOICE_H_
#define GAS_TEACHER_SOLVER_CHOICE_H_

#include <string>

#include <nlohmann/json.hpp>

#include "gas/models/model.h"
#include "gas/solver/step_table.h"
#include "gas/teacher/teacher_spec.h"

namespace gas {

struct ResolvedSolver {
  StepTable table;
  std::string label;  // "gs-4", "dpmpp-3m-4"
  double t_eps;
  nlohmann::json provenance;  // of a solver file
};

// Whether `solver` names a file rather than a method. A mistyped method such as unipc.3 does not, so that the
// error names the nearest method.
bool IsSolverFile(const std::string& solver);

// `grid` is of a method alone. Throws Error(kBadFile) when a solver file was made for another model.
ResolvedSolver ResolveSolver(const std::string& solver, const std::string& grid, int64_t nfe,
                             const Model& model, double t_eps);

// The table of the solver that made teacher data of this kind with this model.
StepTable TeacherTableOf(const TeacherSpec& spec, const Model& model);

}  // namespace gas

#endif  // GAS_TEACHER_SOLVER_CHOICE_H_
