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
    std::cout << HelpEntry(solver.name, fmt::format("{} [grid {}]", solver.description, solver.default_grid),
                           kSolverIndent);
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
