// gas inspect of a solver file: times, coefficients, where they come from, and lint.
#ifndef GAS_CLI_INSPECT_SOLVER_H_
#define GAS_CLI_INSPECT_SOLVER_H_

#include <nlohmann/json.hpp>

#include "gas/solver/solver_file.h"

namespace gas::cli {

void PrintSolver(const SolverFile& file);

// The lint of every table, {"tables": [{"nfe": ..., "lint": {...}}]}. Numbers that are not finite are null.
nlohmann::json SolverLintJson(const SolverFile& file);

}  // namespace gas::cli

#endif  // GAS_CLI_INSPECT_SOLVER_H_
