// Search for the times of a table without derivatives (docs/math/fit.md, section 6).
#ifndef GAS_FIT_TIME_SEARCH_H_
#define GAS_FIT_TIME_SEARCH_H_

#include <functional>
#include <vector>

#include "gas/fit/fit.h"
#include "gas/schedule/noise_schedule.h"

namespace gas {

struct TimeSearchOptions {
  int64_t max_candidates = 200;  // evaluations of the objective
  bool offsets = true;           // search t_eval beside t
  bool start = false;            // search the time of a spectral start too, none included
  // Called after each candidate with its number (1-based) and the least objective so far.
  std::function<void(int64_t candidate, double best)> report = {};
};

struct TimeSearchResult {
  FitTimes times;  // of the least objective seen
  double objective = 0;
  int64_t candidates = 0;
  bool stopped = false;  // by an interrupt in the objective, which is answered
};

// Minimises `objective` over strictly descending times between the ends of `initial`. The best of
// `initial` is refined by quadratic models in a trust region (BOBYQA), then from there by a subspace simplex
// (Sbplx), over logarithms of ratios of lambda-steps, offsets in units of the lambda-step after them, and the
// start's lambda. Candidates whose objective throws Error(kNumeric) count as infinitely bad.
TimeSearchResult SearchTimes(const NoiseSchedule& schedule, const std::vector<FitTimes>& initial,
                             const std::function<double(const FitTimes&)>& objective,
                             const TimeSearchOptions& options = {});

}  // namespace gas

#endif  // GAS_FIT_TIME_SEARCH_H_
