#include "gas/train/initial_fit.h"

#include <algorithm>
#include <limits>

#include "gas/core/error.h"
#include "gas/solver/lint.h"

namespace gas {
namespace {

constexpr double kLeastRidges[] = {0,    1e-6, 1e-4, 1e-3,
                                   1e-2, 0.1,  1,    std::numeric_limits<double>::infinity()};

std::vector<double> AtLeast(const std::vector<double>& ridges, double least) {
  std::vector<double> kept;
  std::copy_if(ridges.begin(), ridges.end(), std::back_inserter(kept),
               [least](double ridge) { return ridge >= least; });
  return kept;
}

}  // namespace

InitialFit FitToTrainFrom(const FitSolverOptions& options, SchedulePtr schedule, const FitSources& sources) {
  InitialFit fit;
  for (const double least : kLeastRidges) {
    FitSolverOptions held = options;
    held.fit.ridges = AtLeast(options.fit.ridges, least);
    if (held.fit.ridges.empty()) break;
    const FittedSolver found = FitSolver(held, schedule, sources);
    fit.table = found.fit.table;
    fit.evaluations += found.evaluations + found.held_out_evaluations;
    fit.least_ridge = least;
    const LintReport report = LintTable(fit.table, *schedule);
    if (least == 0) {
      fit.plain_noise_gain = report.noise_gain.value;
      fit.most_noise_gain = kLintNoiseGain * report.reference_noise_gain.value_or(1);
    }
    if (report.noise_gain.value <= fit.most_noise_gain) break;
  }
  return fit;
}

}  // namespace gas
