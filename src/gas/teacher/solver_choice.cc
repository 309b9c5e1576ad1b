#include "gas/teacher/solver_choice.h"

#include "gas/core/error.h"
#include "gas/core/shown.h"
#include "gas/solver/registry.h"
#include "gas/solver/schedule_match.h"

namespace gas {
namespace {

// Compares a model with what a solver file was made for.
class Comparison {
 public:
  Comparison(const std::string& file, OnDifference on_difference)
      : file_(file), on_difference_(on_difference) {}

  template <class... Parts>
  void Check(bool same, Errc code, const Parts&... parts) {
    if (same) return;
    Tell(parts...);
    GAS_CHECK(on_difference_ == OnDifference::kTell, code, differences_.back());
  }

  // The same of the weights.
  template <class... Parts>
  void CheckModel(bool same, const Parts&... parts) {
    Check(same || on_difference_ == OnDifference::kTellModel, Errc::kBadFile, parts...);
    if (!same && on_difference_ == OnDifference::kTellModel) Tell(parts...);
  }

  // What the file serves all the same, and people should know.
  template <class... Parts>
  void Tell(const Parts&... parts) {
    std::ostringstream text;
    text.precision(10);
    text << file_ << ": ";
    (text << ... << parts);
    differences_.push_back(text.str());
  }

  const std::vector<std::string>& differences() const { return differences_; }

 private:
  const std::string& file_;
  OnDifference on_difference_;
  std::vector<std::string> differences_;
};

bool IsMadeFor(const SolverFile& file, const Model& model) {
  return file.model_sha256.empty() || file.model_sha256 == model.sha256;
}

std::vector<std::string> Differences(const SolverFile& file, const SolverEntry& entry, const Model& model,
                                     OnDifference on_difference) {
  Comparison compare(file.name, on_difference);
  compare.CheckModel(IsMadeFor(file, model), "made for model ", Printable(file.model), " with SHA-256 ",
                     Printable(file.model_sha256), ", not for ", Printable(model.name), " with ",
                     model.sha256);
  const PredictionType prediction = model.denoiser->prediction_type();
  compare.Check(file.prediction == prediction, Errc::kBadFile, "made for ",
                kPredictionTypeNames.NameOf(file.prediction), " prediction, the model predicts ",
                kPredictionTypeNames.NameOf(prediction));
  const auto& range = model.guidance_range;
  const bool serves =
      range ? file.Serves(range->first) && file.Serves(range->second) : file.Serves(model.guidance);
  compare.Check(serves, Errc::kBadOption, "made for guidance ", file.GuidanceText(), ", not for ",
                GuidanceText(model.guidance, range));
  compare.Check(entry.t_eps == model.t_eps, Errc::kBadOption, "its table of ", entry.table.nfe(),
                " evaluations ends at t_eps = ", entry.t_eps, ", not at ", model.t_eps);
  // Lint, exports and training take what the file says for the schedule of its tables.
  const double own = DifferenceFromSchedule(entry.table, *file.schedule);
  compare.Check(own <= kScheduleTolerance, Errc::kBadFile, "alpha and sigma of its table of ",
                entry.table.nfe(), " evaluations differ by up to ", own,
                " from those of its own schedule, must be at most ", kScheduleTolerance);
  const double difference = DifferenceFromSchedule(entry.table, *model.schedule);
  compare.Check(difference <= kScheduleTolerance, Errc::kBadFile, "alpha and sigma of its table of ",
                entry.table.nfe(), " evaluations differ by up to ", difference,
                " from those of the model's schedule, must be at most ", kScheduleTolerance);
  if (!file.state_shape.empty() && file.state_shape != model.shape) {
    compare.Tell("made on states of shape ", at::IntArrayRef(file.state_shape), ", not ",
                 at::IntArrayRef(model.shape), ", for which nobody has measured it");
  }
  return compare.differences();
}

}  // namespace

bool IsSolverFile(const std::string& solver) {
  return solver.find('/') != solver.npos || solver.ends_with(".json");
}

ChosenSolver::ChosenSolver(const std::string& solver, const std::string& grid, int64_t nfe)
    : solver_(solver), grid_(grid), nfe_(nfe) {
  if (!IsSolverFile(solver)) return;
  file_ = ReadSolverFile(solver);
  file_->at(nfe);
}

double ChosenSolver::Guidance(std::optional<double> asked) const {
  return asked.value_or(file_ ? file_->guidance : 1.0);
}

std::optional<double> ChosenSolver::EndTime(std::optional<double> asked) const {
  if (asked || !file_) return asked;
  return file_->at(nfe_).t_eps;
}

ResolvedSolver ChosenSolver::On(const Model& model, OnDifference on_difference) const {
  if (!file_) {
    return {.table = MakeSolverTable(solver_, *model.schedule, grid_, nfe_, model.t_eps),
            .label = solver_ + "-" + std::to_string(nfe_),
            .t_eps = model.t_eps,
            .provenance = {},
            .made_for = {},
            .differences = {}};
  }
  const SolverEntry& entry = file_->at(nfe_);
  return {.table = entry.table,
          .label = Printable(entry.table.method) + "-" + std::to_string(nfe_),
          .t_eps = entry.t_eps,
          .provenance = entry.provenance,
          .made_for = IsMadeFor(*file_, model) ? "" : Printable(file_->model),
          .differences = Differences(*file_, entry, model, on_difference)};
}

// What may differ from the model has been judged when the data were made.
SolverFile NewSolverFile(const Model& model) {
  return {.schedule = model.schedule,
          .prediction = model.denoiser->prediction_type(),
          .guidance = model.guidance,
          .guidance_range = model.guidance_range,
          .model = model.name,
          .model_sha256 = model.sha256,
          .state_shape = model.shape,
          .entries = {}};
}

StepTable TeacherTableOf(const TeacherSpec& spec, const Model& model) {
  GAS_CHECK(!spec.solver.empty(), Errc::kBadFile,
            "the teacher data were imported without the solver that made "
            "them, which is needed here; gas import takes it as --solver, --grid and --nfe");
  return ChosenSolver(spec.solver, spec.grid, spec.nfe).On(model, OnDifference::kTell).table;
}

}  // namespace gas
