// Which times, start, bands and constraint suit a network: fits to a few trajectories, compared by their
// cross-validated error (docs/math/fit.md, section 6).
#ifndef GAS_FIT_SOLVER_RACE_H_
#define GAS_FIT_SOLVER_RACE_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "gas/fit/fit.h"
#include "gas/fit/fit_journal.h"

namespace gas {

// What a fitted table looks like, before its rows are known.
struct SolverShape {
  std::string grid;  // as MakeGrid takes it
  // The time of a spectral start, at which the first evaluation is made; none: pure noise.
  std::optional<double> start = {};
  SpectralBasisPtr bands = nullptr;  // null, or of one band: a scalar table

  // "edm-5, 12 bands, start at 0.91".
  std::string Name() const;
};

// The times of a shape with so many evaluations. Throws what MakeGrid and MakeGridBetween throw.
FitTimes TimesOf(const SolverShape& shape, const NoiseSchedule& schedule, int64_t nfe, double t_eps);

struct RaceOptions {
  int64_t nfe = 4;
  double t_eps = kDefaultTEps;
  SolverShape first;  // what is not raced is as in this one; its grid is looked at first
  // What is tried besides, each from the best so far on. Empty or false: it is not raced.
  std::vector<std::string> grids = {};
  bool starts = false;
  std::vector<SpectralBasisPtr> bands = {};
  // Alike for all: basis and constraint are those of a shape; a start needs statistics, and the basis of a
  // start without bands is this one's.
  FitOptions fit = {};
  // Network evaluations, each of one sample, after which no further shape is begun; the first always is.
  int64_t budget = 0;
  JournalPart journal = {};
  // Called after each shape with the evaluations spent so far.
  std::function<void(const SolverShape& shape, double error, int64_t spent)> report = {};
};

struct RaceEntry {
  SolverShape shape;
  double error = 0;  // cross-validated, of the sample; infinity where the network's outputs are not finite
  bool unstable = false;              // what the lint says of its table
  std::optional<FitResult> fit = {};  // none where the journal knew the error
};

struct RaceResult {
  std::vector<RaceEntry> entries;  // those that are not unstable first, and of each kind the best first
  int64_t evaluations = 0;
  bool stopped = false;  // by an interrupt, which is answered
};

// The fit's options with basis and constraint of a shape.
FitOptions FitOptionsOf(const SolverShape& shape, const FitOptions& fit);

// Races shapes on all trajectories of the source, in this order: grids; spectral starts ever later, on the
// best grid, until two in a row are worse, then the second grid with the best start; bands. Throws what
// FitTable throws, other than Error(kNumeric), and what CheckInterrupt throws before there is an entry.
RaceResult RaceSolvers(const RaceOptions& options, SchedulePtr schedule, const TrajectorySource& source);

}  // namespace gas

#endif  // GAS_FIT_SOLVER_RACE_H_
