// What people see of a fit while it runs.
#ifndef GAS_CLI_FIT_PRINTER_H_
#define GAS_CLI_FIT_PRINTER_H_

#include <optional>

#include "gas/core/progress.h"
#include "gas/fit/fit_run.h"

namespace gas::cli {

// Progress lines, one after another: of the trajectories, then of each step of the search, whose end is a
// line that stays; and a line for each number of evaluations that is fitted.
class FitPrinter {
 public:
  FitRunHooks Hooks();  // of one run, which the printer outlives

 private:
  void Samples(int64_t done, int64_t total);
  void Search(const SearchProgress& at);
  void Fitted(const FitRunPart& part);
  void PrintStep();

  std::optional<Progress> samples_, search_;
  SearchProgress now_;
};

}  // namespace gas::cli

#endif  // GAS_CLI_FIT_PRINTER_H_
