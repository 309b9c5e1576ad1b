// Solvers of programs that keep their state as x / alpha, noise of level sigma added to the data (EDM's
// notation), as tables on any schedule.
#ifndef GAS_IMPORTERS_SCALED_FORM_H_
#define GAS_IMPORTERS_SCALED_FORM_H_

#include <string>

#include "gas/importers/solver_source.h"
#include "gas/solver/table_builder.h"

namespace gas {

// The time at which sigma / alpha of the schedule is `sigma`, which must be above 0.
double TimeOfSigma(const NoiseSchedule& schedule, double sigma);

// The target whose sampling ends at the noise level `sigma`. On some schedules what a time means depends on
// where sampling ends, so that it is asked for until both agree. Throws Error(kBadFile), naming `file`, if
// they do not, and what the target throws.
SolverTarget TargetEndingAt(const ImportRequest& request, double sigma, std::optional<double> guidance,
                            const std::string& file);

// Records such a solver: linear forms are of x / alpha. Each node of the table lies at the noise level that
// the network is told, because there its state has the scale that the network expects.
class ScaledForm {
 public:
  // `schedule` must outlive it.
  explicit ScaledForm(const NoiseSchedule& schedule) : schedule_(schedule), builder_(schedule) {}

  // The network at a state and a level sigma: the state, and the noise that it predicts there, x - sigma eps
  // being its data prediction.
  struct Point {
    LinearForm x, noise;
  };
  // The first one, at the state start_std * noise. Must be called first, and once.
  Point Start(double start_std, double sigma);
  Point Evaluate(const LinearForm& state, double sigma);
  // The table whose last row is `sample`, at time t_end of the schedule.
  StepTable Finish(const LinearForm& sample, double t_end, std::string method) const;

 private:
  Point PointOf(const Evaluation& evaluation) const;

  const NoiseSchedule& schedule_;
  TableBuilder builder_;
  double prior_std_ = 1;
};

}  // namespace gas

#endif  // GAS_IMPORTERS_SCALED_FORM_H_
