// Solvers by name.
#ifndef GAS_SOLVER_REGISTRY_H_
#define GAS_SOLVER_REGISTRY_H_

#include <string>
#include <string_view>
#include <vector>

#include "gas/schedule/noise_schedule.h"
#include "gas/solver/step_table.h"

namespace gas {

struct SolverInfo {
  std::string name;
  std::string description;   // one line
  std::string default_grid;  // "" for a solver with times of its own
};

// Every solver that MakeSolverTable knows, in the order of the help text.
const std::vector<SolverInfo>& ListSolvers();

// The table of solver `name` with exactly `nfe` network evaluations on grid `grid_name` (MakeGrid; "" is the
// solver's default) from schedule.t_start() to t_eps. Throws Error(kBadOption) for an unknown name (with the
// nearest known one), nfe outside [1, 10000], an even nfe of heun, a grid for a solver with times of its own,
// and what MakeGrid refuses.
StepTable MakeSolverTable(std::string_view name, const NoiseSchedule& schedule, std::string_view grid_name,
                          int64_t nfe, double t_eps);

}  // namespace gas

#endif  // GAS_SOLVER_REGISTRY_H_
