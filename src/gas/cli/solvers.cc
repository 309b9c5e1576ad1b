#include <iostream>

#include <fmt/format.h>

#include "gas/cli/help.h"
#include "gas/cli/run.h"
#include "gas/solver/registry.h"

namespace gas::cli {
namespace {

constexpr size_t kSolverIndent = 22;

void RunSolvers() {
  for (const SolverInfo& solver : ListSolvers()) {
    const std::string times = solver.default_grid.empty() ? "its own times" : "grid " + solver.default_grid;
    std::cout << HelpEntry(solver.name, fmt::format("{} [{}]", solver.description, times), kSolverIndent);
  }
}

}  // namespace

Verb SolversVerb() {
  return {"solvers",
          "Lists the solvers by name, each with the grid that it takes unless told otherwise.",
          "gas solvers",
          {},
          [](const Options&) { return RunSolvers; }};
}

}  // namespace gas::cli
