// A solver as people name it, by method or by file, made ready to run.
#ifndef GAS_TEACHER_SOLVER_CHOICE_H_
#define GAS_TEACHER_SOLVER_CHOICE_H_

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "gas/models/model.h"
#include "gas/solver/solver_file.h"
#include "gas/solver/step_table.h"
#include "gas/teacher/teacher_spec.h"

namespace gas {

struct ResolvedSolver {
  StepTable table;
  std::string label;  // "gs-4", "dpmpp-3m-4"
  double t_eps;
  nlohmann::json provenance;             // of a solver file
  std::string made_for;                  // the other model that a file was made for; "": this one
  std::vector<std::string> differences;  // of the model from what the file was made for, a sentence each
};

// Whether `solver` names a file rather than a method. A mistyped method such as unipc.3 does not, so that the
// error names the nearest method.
bool IsSolverFile(const std::string& solver);

// What becomes of a solver file that was made for something else than the model at hand. kTellModel: it may
// be another model, such as a fine-tune of the same architecture, and nothing else may differ.
enum class OnDifference { kFail, kTellModel, kTell };

// A solver that is read, but not yet tied to a model: the model is opened as its file says.
class ChosenSolver {
 public:
  // `grid` is of a method alone. Throws what ReadSolverFile throws, and Error(kBadOption) if the file has no
  // table for `nfe`.
  ChosenSolver(const std::string& solver, const std::string& grid, int64_t nfe);

  // The guidance and the end of sampling asked for, or else the file's; of a method 1 and nothing.
  double Guidance(std::optional<double> asked) const;
  std::optional<double> EndTime(std::optional<double> asked) const;

  // Weights, prediction type, guidance, end time and schedule of the model must be those for which the file
  // was made. What differs is an error that names both values, Error(kBadOption) for guidance and end time,
  // which options ask for, Error(kBadFile) for the others; with kTell it is told in the result instead, and
  // with kTellModel that the weights differ is. That its states had another shape is always told, and never
  // an error.
  ResolvedSolver On(const Model& model, OnDifference on_difference = OnDifference::kFail) const;

 private:
  std::string solver_, grid_;
  int64_t nfe_;
  std::optional<SolverFile> file_;
};

// A solver file without tables yet, for the model as it was opened.
SolverFile NewSolverFile(const Model& model);

// The table of the solver that made teacher data of this kind with this model. Throws Error(kBadFile) for
// imported data that do not say it.
StepTable TeacherTableOf(const TeacherSpec& spec, const Model& model);

}  // namespace gas

#endif  // GAS_TEACHER_SOLVER_CHOICE_H_
