// A fitted solver for one number of evaluations: times, start, bands and coefficients chosen by their error.
#ifndef GAS_FIT_FIT_SOLVER_H_
#define GAS_FIT_FIT_SOLVER_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "gas/fit/fit.h"
#include "gas/fit/fit_journal.h"
#include "gas/fit/refine.h"
#include "gas/solver/lint.h"

namespace gas {

// The grid of a fit that neither is told one nor may look for one.
inline constexpr const char* kPlainGrid = "logsnr";

struct FitSolverOptions {
  int64_t nfe = 4;
  double t_eps = kDefaultTEps;
  std::optional<std::string> grid = {};  // none: the best of several, or kPlainGrid without a budget
  // The time of a spectral start, at which the first evaluation is made; none, or the schedule's start: at
  // pure noise, as other solvers do.
  std::optional<double> start = {};
  bool search_start = false;                     // try several starts too; not together with `start`
  std::vector<SpectralBasisPtr> try_bands = {};  // tables of these bands are tried too
  // Network evaluations, each of one sample, of everything but held-out errors: at least LeastBudget; 0: a
  // fit to all training trajectories, whatever it costs, and no search.
  int64_t budget = 0;
  FitOptions fit = {};        // its basis is the bands; a start needs basis and statistics
  double step = kSingleStep;  // of differences, RefineOptions::step
  JournalPart journal = {};   // of an interrupted search, and for this one
  // Called during the search with what it is at, what is spent, and the error of that.
  std::function<void(const std::string& what, int64_t spent, double error)> report = {};
};

// Trajectories that are fitted, and those that decide.
struct FitSources {
  TrajectorySource training, held_out;
};

// A part of the search: how many trajectories it looked at, and what was reached at which price.
struct SearchStage {
  std::string what;  // a shape that was raced, or "all at once from" such a shape
  int64_t trajectories = 0;
  int64_t evaluations = 0;
  double error = 0;                     // cross-validated, of the sample
  std::optional<double> held_out = {};  // of the table that the stage ended with, if it was a candidate
};

struct FittedSolver {
  FitResult fit;
  std::string shape;     // SolverShape::Name, of what was chosen
  bool refined = false;  // whether all numbers were fitted at once
  LintVerdict lint = LintVerdict::kSafe;
  bool interrupted = false;  // the search was not finished, and this is its best so far
  double held_out = 0;       // mean squared distance to the teacher on held-out trajectories
  std::optional<double> held_out_objective = {};  // mean distance there, of a fit that minimises another one
  double base_held_out = 0;                       // of DPM-Solver++(3M) on the grid of the result
  int64_t evaluations = 0;                        // within the budget
  int64_t held_out_evaluations = 0;               // of held-out errors, DPM-Solver++'s among them
  std::vector<SearchStage> stages;
};

// The least that a search spends.
int64_t LeastBudget(int64_t nfe);
// Throws Error(kBadOption) for a budget between 0 and that.
void CheckBudget(int64_t budget, int64_t nfe);

// Without a budget: the table of the shape that the options name, fitted to all training trajectories.
// With one, from cheap to dear:
//   1. shapes that the options leave open race on few trajectories (fit/solver_race.h);
//   2. the best few of different grids are refined, all numbers at once (fit/refine.h), on as few;
//   3. the best of these goes on, on parts that grow to what the budget affords;
//   4. the last row, or where nothing could be refined all rows, are fitted to as many of the training
//      trajectories as the budget has left.
// What each step ends with is a candidate, and a last row that may change brightness at will. The least
// held-out error wins, where that of a table that the lint calls unstable counts twice and that of one that
// changes brightness a tenth more: the result is no worse there than anything else that the run has seen and
// that the lint calls no worse. If the objective is not the squared error, only what minimises it in its last
// row is a candidate. Throws Error(kBadOption) for unknown grids, a grid that begins later than the schedule
// without a spectral start, a start outside (t_eps, schedule start], and what CheckBudget refuses;
// Error(kNumeric) if DPM-Solver++'s samples of the held-out trajectories are not finite; what CheckInterrupt
// throws before there is a candidate, and later answers it (core/interrupt.h) and returns the best so far.
FittedSolver FitSolver(const FitSolverOptions& options, SchedulePtr schedule, const FitSources& sources);

}  // namespace gas

#endif  // GAS_FIT_FIT_SOLVER_H_
