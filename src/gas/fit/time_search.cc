#include "gas/fit/time_search.h"

#include <exception>
#include <memory>

#include <nlopt.h>

#include "gas/core/error.h"
#include "gas/core/interrupt.h"

namespace gas {
namespace {

// A refinement changes the ratio of a step to the first one by at most a factor exp(kMaxLogRatio) against
// the grid that it begins with. There are two of them, so that the second may go as far again.
constexpr double kMaxLogRatio = 2.0;
// The network may see times up to this share of a lambda-step before or after the node.
constexpr double kMaxOffset = 0.9;
// The start may move this far in lambda.
constexpr double kMaxStartShift = 3.0;
constexpr double kBad = 1e10;  // stands for infinity in quadratic models

// One of the numbers that are searched: its value on the grid at hand, its bounds, and a first step.
struct SearchedNumber {
  double value, lower, upper, step;
};

// Times around one grid as a list of numbers: N - 1 logarithms of factors on the lambda-steps 1 .. N-1,
// relative to step 0; then, if offsets are searched, N of them in units of the lambda-step after the node;
// then, if the start is searched, the lambda of the first time.
class TimeCoordinates {
 public:
  TimeCoordinates(const NoiseSchedule& schedule, const FitTimes& around, const TimeSearchOptions& options)
      : schedule_(schedule),
        around_(around),
        search_offsets_(options.offsets),
        search_start_(options.start),
        lambda_(schedule.HalfLogSnr(around.t)),
        widths_(lambda_.diff()),
        noise_(schedule.HalfLogSnr(schedule.t_start())) {
    offsets_ = torch::zeros_like(widths_);
    if (around.t_eval.defined()) {
      offsets_ = (schedule.HalfLogSnr(around.t_eval) - lambda_.slice(0, 0, -1)) / widths_;
    }
  }

  std::vector<SearchedNumber> Numbers() const {
    std::vector<SearchedNumber> numbers(steps() - 1, SearchedNumber{0, -kMaxLogRatio, kMaxLogRatio, 0.25});
    if (search_offsets_) {
      for (int64_t n = 0; n < steps(); ++n) {
        const double value = std::clamp(offsets_[n].item<double>(), -kMaxOffset, kMaxOffset);
        numbers.push_back({value, -kMaxOffset, kMaxOffset, 0.1});
      }
    }
    if (search_start_) {
      const double first = lambda_[0].item<double>();
      numbers.push_back({first, noise_, std::max(noise_ + kMaxStartShift, first), 0.3});
    }
    return numbers;
  }

  FitTimes TimesOf(const double* x) const {
    const int64_t n = steps();
    const double* log_factors = x;
    const double* offsets_given = x + n - 1;
    const double* first_given = offsets_given + (search_offsets_ ? n : 0);

    // lambda of each time: the steps times their factors, scaled so that they reach from `first` to the end.
    const double first = search_start_ ? *first_given : lambda_[0].item<double>();
    const double last = lambda_[-1].item<double>();
    Tensor widths = widths_.clone();
    for (int64_t i = 1; i < n; ++i) widths[i] *= std::exp(log_factors[i - 1]);
    widths = widths * ((last - first) / widths.sum());
    const Tensor lambda = torch::cat({torch::zeros({1}, torch::kFloat64), widths.cumsum(0)}) + first;

    FitTimes times;
    times.t = schedule_.TimeOfHalfLogSnr(lambda).clone();
    times.t[-1] = around_.t[-1];
    if (!search_start_) {
      times.t[0] = around_.t[0];
      times.start = around_.start;
    } else if (first > noise_) {
      times.start = times.t[0].item<double>();
    } else {
      times.t[0] = schedule_.t_start();
    }

    Tensor offsets = offsets_;
    if (search_offsets_) {
      offsets = torch::tensor(std::vector<double>(offsets_given, offsets_given + n), torch::kFloat64);
    }
    if (!search_offsets_ && !offsets.any().item<bool>()) return times;
    const Tensor seen = (lambda.slice(0, 0, n) + offsets * widths).clamp(noise_, last);
    times.t_eval = torch::where(offsets == 0, times.t.slice(0, 0, n), schedule_.TimeOfHalfLogSnr(seen));
    return times;
  }

 private:
  int64_t steps() const { return widths_.size(0); }

  const NoiseSchedule& schedule_;
  const FitTimes around_;
  const bool search_offsets_, search_start_;
  const Tensor lambda_, widths_;  // [N+1] of the grid at hand, [N] its steps
  const double noise_;            // lambda at the schedule's start
  Tensor offsets_;                // [N] of the grid at hand
};

class Search {
 public:
  Search(const NoiseSchedule& schedule, const std::function<double(const FitTimes&)>& objective,
         const TimeSearchOptions& options)
      : schedule_(schedule), objective_(objective), o_(options) {}

  bool Done() const { return result_.stopped || result_.candidates >= o_.max_candidates; }

  double Try(const FitTimes& times) {
    double value = kBad;
    try {
      value = objective_(times);
    } catch (const Error& error) {
      const bool any = result_.times.t.defined();
      if (IsInterrupt(error) && any) {
        AnswerInterrupt();
        result_.stopped = true;
        return kBad;
      }
      if (error.code() != Errc::kNumeric) throw;
    }
    if (!std::isfinite(value)) value = kBad;
    if (!result_.times.t.defined() || value < result_.objective) {
      result_.times = times;
      result_.objective = value;
    }
    ++result_.candidates;
    if (o_.report) o_.report(result_.candidates, result_.objective);
    return value;
  }

  // Refines the best times so far with at most `candidates` more.
  void Refine(nlopt_algorithm algorithm, int64_t candidates) {
    candidates = std::min(candidates, o_.max_candidates - result_.candidates);
    const TimeCoordinates space(schedule_, result_.times, o_);
    std::vector<double> x, lower, upper, step;
    for (const SearchedNumber& number : space.Numbers()) {
      x.push_back(number.value);
      lower.push_back(number.lower);
      upper.push_back(number.upper);
      step.push_back(number.step);
    }
    if (x.empty() || candidates < 1 || Done()) return;
    const std::unique_ptr<nlopt_opt_s, void (*)(nlopt_opt)> opt(nlopt_create(algorithm, x.size()),
                                                                nlopt_destroy);
    space_ = &space;
    opt_ = opt.get();
    nlopt_set_lower_bounds(opt_, lower.data());
    nlopt_set_upper_bounds(opt_, upper.data());
    nlopt_set_initial_step(opt_, step.data());
    nlopt_set_maxeval(opt_, static_cast<int>(candidates));
    nlopt_set_xtol_rel(opt_, 1e-4);
    nlopt_set_ftol_rel(opt_, 1e-4);
    nlopt_set_min_objective(opt_, &Search::Evaluate, this);
    double least = 0;
    nlopt_optimize(opt_, x.data(), &least);
    if (failure_) std::rethrow_exception(failure_);
  }

  const TimeSearchResult& result() const { return result_; }

 private:
  // No exception may cross the library: it is kept and the search stopped.
  static double Evaluate(unsigned, const double* x, double*, void* self) {
    Search& search = *static_cast<Search*>(self);
    try {
      const double value = search.Try(search.space_->TimesOf(x));
      if (search.Done()) nlopt_force_stop(search.opt_);
      return value;
    } catch (...) {
      search.failure_ = std::current_exception();
      nlopt_force_stop(search.opt_);
      return kBad;
    }
  }

  const NoiseSchedule& schedule_;
  const std::function<double(const FitTimes&)>& objective_;
  const TimeSearchOptions& o_;
  TimeSearchResult result_;
  const TimeCoordinates* space_ = nullptr;
  nlopt_opt opt_ = nullptr;
  std::exception_ptr failure_;
};

}  // namespace

TimeSearchResult SearchTimes(const NoiseSchedule& schedule, const std::vector<FitTimes>& initial,
                             const std::function<double(const FitTimes&)>& objective,
                             const TimeSearchOptions& options) {
  GAS_CHECK(!initial.empty() && options.max_candidates >= 1, Errc::kBadOption,
            "time search: ", initial.size(), " initial grids and ", options.max_candidates,
            " candidates, must be at least one each");
  Search search(schedule, objective, options);
  for (const FitTimes& times : initial) {
    if (!search.Done()) search.Try(times);
  }
  search.Refine(NLOPT_LN_BOBYQA, (options.max_candidates - search.result().candidates) * 2 / 3);
  search.Refine(NLOPT_LN_SBPLX, options.max_candidates - search.result().candidates);
  return search.result();
}

}  // namespace gas
