#include <iostream>

#include "gas/cli/help.h"
#include "gas/cli/run.h"
#include "gas/grid/time_grid.h"

namespace gas::cli {
namespace {

constexpr size_t kGridIndent = 14;

void RunGrids() {
  for (const GridInfo& grid : ListGrids()) std::cout << HelpEntry(grid.name, grid.description, kGridIndent);
  std::cout << HelpEntry("T,T,...", "your own times, descending, one more than there are steps", kGridIndent)
            << HelpEntry("sigma:S,S,...", "your own noise levels sigma / alpha, likewise", kGridIndent)
            << HelpEntry("FILE", "either, as text or JSON (docs/math/grids.md)", kGridIndent);
}

}  // namespace

Verb GridsVerb() {
  return {"grids", "Lists the time grids by name.", "gas grids", {}, [](const Options&) { return RunGrids; }};
}

}  // namespace gas::cli
