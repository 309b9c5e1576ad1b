// What the solver fixtures have in common: their schedules, networks and grids.
#ifndef GAS_TESTS_SUPPORT_REFERENCE_H_
#define GAS_TESTS_SUPPORT_REFERENCE_H_

#include <map>
#include <string>
#include <vector>

#include "gas/schedule/noise_schedule.h"
#include "gas/solver/step_table.h"
#include "support/fixtures.h"
#include "support/gmm.h"

namespace gas::testing {

// A block of `schedules` in a fixture: {"beta_0", "beta_1"} or {"linear_start", "linear_end", "N"}.
SchedulePtr ReferenceSchedule(const nlohmann::json& block);
bool IsDiscrete(const nlohmann::json& block);

// The network of a model: EDM networks predict the data, latent ones (discrete schedules) the noise.
PredictionType ReferencePrediction(const nlohmann::json& block);

// "time_uniform", "time_quadratic", "logSNR" of the references as our names.
std::string ReferenceGridName(const std::string& skip_type);

// The reference's names of a student's tensors, and ours.
const std::map<std::string, std::string>& StudentTensorNames();

// 1e-9, or 1e-7 where the fixtures say so: lambda is nearly flat at the first knot of a discrete schedule,
// and its grid points inherit the rounding of the inverse.
double SolverTolerance(bool discrete, const std::string& skip_type);

// A case of a solver fixture: what it runs on, and how near its numbers have to be.
struct SolverCase {
  std::string prefix;
  SchedulePtr schedule;
  double t_eps, tolerance;
  std::shared_ptr<const Denoiser> network;
  Tensor noise;
};
SolverCase SolverCaseOf(const Fixture& fixture, const nlohmann::json& c);

// What a table gives on it.
struct SolverRun {
  Tensor sample;
  std::vector<Tensor> states, predictions;  // of every row
  int64_t evaluations = 0;
};
SolverRun RunCase(const StepTable& table, const SolverCase& on);

}  // namespace gas::testing

#endif  // GAS_TESTS_SUPPORT_REFERENCE_H_
