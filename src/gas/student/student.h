// Trainable solvers: a few named tensors and a differentiable function from them to a StepTable.
#ifndef GAS_STUDENT_STUDENT_H_
#define GAS_STUDENT_STUDENT_H_

#include <map>
#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "gas/core/torch.h"
#include "gas/schedule/noise_schedule.h"
#include "gas/solver/dpmpp_step.h"
#include "gas/solver/step_table.h"

namespace gas {

// How the tensors become coefficients.
enum class Parametrization {
  // Additive corrections to multistep DPM-Solver++, the Generalized Solver (docs/math/gs.md).
  kTheory,
  // The reference's variant without theory: coefficients from scratch on data predictions, in which the state is
  // multiplied by sigma'/sigma twice. Its start is not DPM-Solver++. Kept to read and compare published students.
  kReferenceFree,
};

struct StudentConfig {
  int64_t steps = 4;  // N, network evaluations
  int64_t order = 0;  // how many earlier predictions and states a step uses, in [1, N]; 0: N
  Parametrization parametrization = Parametrization::kTheory;
  ThirdOrderBase base = ThirdOrderBase::kPublished;
  double t_eps = 1e-3;

  nlohmann::json ToJson() const;
  static StudentConfig FromJson(const nlohmann::json& json);  // throws Error(kBadFile)
};

// Trained tensors, float64 leaves that require gradients:
//   theta [N-1]     stick-breaking grid (grid/trainable_grid.h)
//   xi    [N]       the network sees t_n + xi_n
//   a     [order,N] row i-1 holds a_i; column n belongs to step n (n = 0 is the first, at t_start)
//   c     [order,N] row i-1 holds c_i
class Student {
 public:
  // The start of training: the given grid [N+1] (undefined: uniform), everything else as makes the base solver. Throws
  // Error(kBadOption) for an order outside [1, N] ([3, N] for kReferenceFree) and grids whose ends are not the
  // schedule's start and t_eps.
  Student(const StudentConfig& config, SchedulePtr schedule, const Tensor& grid = {});

  const StudentConfig& config() const { return config_; }
  const SchedulePtr& schedule() const { return schedule_; }
  const std::map<std::string, Tensor>& parameters() const { return parameters_; }

  // Copies values in; names and shapes must match. Throws Error(kBadFile).
  void SetParameters(const std::map<std::string, Tensor>& values);

  // The solver that these tensors are; differentiable in all of them.
  StepTable Table() const;
  // The same from other values of the tensors, such as an average.
  StepTable TableOf(const std::map<std::string, Tensor>& values) const;

 private:
  void InitReferenceFree();

  StudentConfig config_;
  SchedulePtr schedule_;
  std::map<std::string, Tensor> parameters_;
};

}  // namespace gas

#endif  // GAS_STUDENT_STUDENT_H_
