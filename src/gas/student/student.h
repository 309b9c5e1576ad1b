// Trainable solvers: a few named tensors and a differentiable function from them to a StepTable.
#ifndef GAS_STUDENT_STUDENT_H_
#define GAS_STUDENT_STUDENT_H_

#include <map>
#include <memory>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "gas/core/torch.h"
#include "gas/schedule/noise_schedule.h"
#include "gas/solver/solver_file.h"
#include "gas/solver/step_table.h"
#include "gas/student/parametrization.h"

namespace gas {

struct StudentConfig {
  int64_t steps = 4;  // N, network evaluations
  int64_t order = 0;  // how many earlier predictions and states a step uses, in [1, N]; 0: N
  Parametrization parametrization = Parametrization::kTheory;
  ThirdOrderBase base = ThirdOrderBase::kPublished;
  double t_eps = kDefaultTEps;
  // Corrections a, c for each component and band of a spectral table, instead of one for all.
  bool per_band = false;

  nlohmann::json ToJson() const;
  static StudentConfig FromJson(const nlohmann::json& json);  // throws Error(kBadFile)
};

// Trained tensors, float64 leaves that require gradients:
//   theta [N-1]     stick-breaking grid (grid/trainable_grid.h)
//   xi    [N]       the network sees t_n + xi_n, at least t_eps / 100
//   a     [order,N] row i-1 holds a_i; column n belongs to step n (n = 0 is the first, at the start);
//   [order,N,C,K]
//                   for components and bands if config().per_band
//   c     like a    row i-1 holds c_i
//   d     [order+1,N-1]  of a corrector: row i holds d_i, which belongs to the i-th newest prediction, 0 the
//   one at the end
// kTheory and kReferenceFree have theta, xi, a and c; kTimes theta and xi; kLms theta, xi and c;
// kLmsCorrected d too. A student that began as a spectral table and is not per_band keeps what the bands have
// beyond the base solver in two more tensors a0, c0 [order,N,C,K], which are added to a, c and not trained.
class Student {
 public:
  // The start of training: the given grid [N+1] (undefined: uniform), everything else as makes the base
  // solver. Throws Error(kBadOption) for an order outside [1, N] ([3, N] for kReferenceFree) and grids whose
  // ends are not the schedule's start and t_eps.
  Student(const StudentConfig& config, SchedulePtr schedule, const Tensor& grid = {});

  // A student whose table is `table`, to 1e-10 of its largest coefficient: times and offsets carry over,
  // corrections are set to what the base solver lacks. A spectral table keeps its bands and its start. config
  // gives order and base; its steps and t_eps are the table's. Throws Error(kBadOption) if the table's alpha
  // and sigma are not the schedule's (solver/schedule_match.h), a row uses more history than config.order,
  // the student is not kTheory, or per_band is asked of a scalar table.
  static Student FromTable(const StepTable& table, SchedulePtr schedule, StudentConfig config = {});

  // The student of an entry of a solver file, as Record() left it. Throws Error(kBadFile) for an entry
  // without one, and for a configuration or tensors that do not belong to this program or this table.
  static Student FromEntry(const SolverEntry& entry, SchedulePtr schedule);
  // What a solver file keeps: the configuration, and `values` in place of the parameters, such as an average.
  StudentRecord Record(const std::map<std::string, Tensor>& values) const;

  const StudentConfig& config() const { return config_; }
  const SchedulePtr& schedule() const { return schedule_; }
  const std::map<std::string, Tensor>& parameters() const { return parameters_; }
  std::map<std::string, Tensor> fixed() const;  // a0, c0, or nothing

  // Copies values in; names and shapes must match. Throws Error(kBadFile).
  void SetParameters(const std::map<std::string, Tensor>& values);

  // The solver that these tensors are; differentiable in all of them.
  StepTable Table() const;
  // The same from other values of the tensors, such as an average.
  StepTable TableOf(const std::map<std::string, Tensor>& values) const;

 private:
  // Corrections to the base solver, each [order,N] or [order,N,C,K].
  struct Corrections {
    Tensor a, c;
  };

  Student(const StudentConfig& config, SchedulePtr schedule, const Tensor& grid, double t_first);
  // c of the kinds that have free coefficients: the base solver's on the first grid, divided by -alpha'
  // phi_1.
  void InitFree();
  std::vector<StudentStep> StepsOn(const Tensor& grid) const;
  // What turns the base solver into `table` (docs/math/gs.md, "Back from a table"). Of a student whose
  // corrections are still 0, which therefore is the base solver.
  Corrections CorrectionsTo(const StepTable& table) const;

  StudentConfig config_;
  SchedulePtr schedule_;
  double t_first_;  // the first time: the schedule's start, or where a spectral start jumps to
  SpectralBasisPtr basis_;
  SpectralStartPtr start_;
  std::map<std::string, Tensor> parameters_;
  std::optional<Corrections> fixed_;  // of the bands, where they are not trained
};

}  // namespace gas

#endif  // GAS_STUDENT_STUDENT_H_
