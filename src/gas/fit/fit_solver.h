// A fitted solver for one number of evaluations: start, times and coefficients chosen by held-out error.
#ifndef GAS_FIT_FIT_SOLVER_H_
#define GAS_FIT_FIT_SOLVER_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "gas/fit/fit.h"
#include "gas/fit/fit_journal.h"
#include "gas/fit/refine.h"

namespace gas {

struct FitSolverOptions {
  int64_t nfe = 4;
  std::string grid = "logsnr";  // where the search begins; kept without one
  double t_eps = kDefaultTEps;
  // The time of a spectral start, at which the first evaluation is made; none, or the schedule's start: at
  // pure noise, as other solvers do.
  std::optional<double> start = {};
  // Try several starts and pure noise, and keep what has the least held-out error. Not together with `start`.
  bool search_start = false;
  // Network evaluations, each of one sample, that the time search may spend, at least LeastSearchBudget; 0:
  // no search. Fits to all trajectories and held-out errors come on top.
  int64_t budget = 0;
  FitOptions fit = {};        // its basis is the bands; a start needs basis and statistics
  double step = kSingleStep;  // of differences, RefineOptions::step
  JournalPart journal = {};   // of an interrupted search, and for this one
  // Called during the search.
  std::function<void(int64_t spent, double best)> report = {};
};

// Trajectories: all that are fitted, the part that the search begins with, and those that decide.
struct FitSources {
  TrajectorySource training, search, held_out;
};

// A part of the search: how many trajectories it looked at, and what was reached at which price.
struct SearchStage {
  std::string what;  // "times" or "all at once"
  int64_t trajectories = 0;
  int64_t rounds = 0;  // candidates, or derivatives taken
  int64_t evaluations = 0;
  double error = 0;     // cross-validated, of the sample
  double held_out = 0;  // of the table that the stage ended with
};

struct FittedSolver {
  FitResult fit;
  bool searched = false;     // whether searched times won on held-out trajectories
  bool interrupted = false;  // the search was not finished, and this is its best so far
  double held_out = 0;       // mean squared distance to the teacher on held-out trajectories
  double base_held_out = 0;  // of DPM-Solver++(3M) on the grid
  int64_t evaluations = 0;   // of all that was tried, held-out errors and DPM-Solver++'s among them
  std::vector<SearchStage> stages;
};

// The least that a search spends that begins with so many trajectories.
int64_t LeastSearchBudget(int64_t nfe, int64_t trajectories);
// Throws Error(kBadOption) for a budget between 0 and that.
void CheckSearchBudget(int64_t budget, int64_t nfe, int64_t trajectories);

// Candidates are: pure noise and, as the options say, spectral starts, each on the grid; with a budget also
// times searched from several grids over the cross-validated error of the last row on the search part, and
// what RefineTable makes of them, first on that part, then on growing parts of the training trajectories as
// far as the budget goes. Each is fitted to the training part; what a refinement of a part ended with is a
// candidate as it is, too, if the objective is the squared error. The least held-out error wins, so that the
// result is no worse there than anything else that the run has seen. Throws Error(kBadOption) for unknown
// grids, a grid that begins later than the schedule without a spectral start, a start outside (t_eps,
// schedule start], and what CheckSearchBudget refuses; Error(kNumeric) if DPM-Solver++'s samples of the
// held-out trajectories are not finite; what CheckInterrupt throws before there is a candidate, and later
// answers it (core/interrupt.h) and returns the best so far.
FittedSolver FitSolver(const FitSolverOptions& options, SchedulePtr schedule, const FitSources& sources);

}  // namespace gas

#endif  // GAS_FIT_FIT_SOLVER_H_
