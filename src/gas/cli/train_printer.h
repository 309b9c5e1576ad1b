// What people see of a training run: progress on stderr, results on stdout.
#ifndef GAS_CLI_TRAIN_PRINTER_H_
#define GAS_CLI_TRAIN_PRINTER_H_

#include <optional>

#include "gas/core/progress.h"
#include "gas/train/train_solvers.h"

namespace gas::cli {

class TrainPrinter {
 public:
  // The options outlive the printer.
  explicit TrainPrinter(const TrainSolversOptions& options) : options_(options) {}

  TrainSolversHooks Hooks();  // of one run, which the printer outlives

 private:
  void Begin(int64_t nfe);
  void Step(const GsStep& step);
  void Trained(const TrainedSolver& solver);

  const TrainSolversOptions& options_;
  std::optional<Progress> progress_;
  std::optional<double> validated_;
};

}  // namespace gas::cli

#endif  // GAS_CLI_TRAIN_PRINTER_H_
