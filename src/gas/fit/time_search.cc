#include "gas/fit/time_search.h"

#include <exception>
#include <memory>

#include <nlopt.h>

#include "gas/core/error.h"

namespace gas {
namespace {

// Steps change by at most a factor exp(kMaxLogRatio) against those of the initial grid.
constexpr double kMaxLogRatio = 2.0;
// The network may see times up to this share of a lambda-step before or after the node.
constexpr double kMaxOffset = 0.9;
// The start may move this far in lambda.
constexpr double kMaxStartShift = 3.0;
constexpr double kBad = 1e10;  // stands for infinity in quadratic models

// Unconstrained numbers <-> times, around one grid.
class TimeCoordinates {
 public:
  TimeCoordinates(const NoiseSchedule& schedule, const FitTimes& around, const TimeSearchOptions& options)
      : schedule_(schedule),
        t_first_(around.t[0].item<double>()),
        t_last_(around.t[-1].item<double>()),
        offsets_(options.offsets),
        start_(options.start) {
    lambda_ = schedule.HalfLogSnr(around.t);
    first_ = lambda_[0].item<double>();
    noise_ = schedule.HalfLogSnr(schedule.t_start());
    steps_ = lambda_.diff();
    if (around.t_eval.defined()) {
      const Tensor seen = schedule.HalfLogSnr(around.t_eval);
      given_offsets_ = (seen - lambda_.slice(0, 0, -1)) / steps_;
    } else {
      given_offsets_ = torch::zeros_like(steps_);
    }
  }

  int64_t steps() const { return steps_.size(0); }

  // The grid itself, with bounds and a first step for each number.
  void Describe(std::vector<double>& x, std::vector<double>& lower, std::vector<double>& upper,
                std::vector<double>& step) const {
    const auto add = [&](double value, double low, double high, double by) {
      x.push_back(value);
      lower.push_back(low);
      upper.push_back(high);
      step.push_back(by);
    };
    for (int64_t n = 1; n < steps(); ++n) add(0, -kMaxLogRatio, kMaxLogRatio, 0.25);
    if (offsets_) {
      for (int64_t n = 0; n < steps(); ++n) {
        const double value = std::clamp(given_offsets_[n].item<double>(), -kMaxOffset, kMaxOffset);
        add(value, -kMaxOffset, kMaxOffset, 0.1);
      }
    }
    if (start_) add(first_, noise_, std::max(noise_ + kMaxStartShift, first_), 0.3);
  }

  FitTimes TimesOf(const double* x) const {
    const int64_t n = steps();
    const double first = start_ ? x[n - 1 + (offsets_ ? n : 0)] : first_;
    const double last = lambda_[-1].item<double>();
    Tensor widths = steps_.clone();
    for (int64_t i = 1; i < n; ++i) widths[i] *= std::exp(x[i - 1]);
    widths = widths * ((last - first) / widths.sum());
    Tensor lambda = torch::cat({torch::zeros({1}, torch::kFloat64), widths.cumsum(0)}) + first;
    FitTimes times;
    times.t = schedule_.TimeOfHalfLogSnr(lambda).clone();
    times.t[0] = start_ && first > noise_ ? times.t[0].item<double>() : t_first_;
    if (start_ && first <= noise_) times.t[0] = schedule_.t_start();
    times.t[-1] = t_last_;
    if (!offsets_ && !given_offsets_.any().item<bool>()) return times;
    Tensor offsets = given_offsets_;
    if (offsets_) offsets = torch::tensor(std::vector<double>(x + n - 1, x + 2 * n - 1), torch::kFloat64);
    const Tensor seen = (lambda.slice(0, 0, n) + offsets * widths).clamp(noise_, last);
    times.t_eval = torch::where(offsets == 0, times.t.slice(0, 0, n), schedule_.TimeOfHalfLogSnr(seen));
    return times;
  }

 private:
  const NoiseSchedule& schedule_;
  double t_first_, t_last_, first_ = 0, noise_ = 0;
  bool offsets_, start_;
  Tensor lambda_, steps_, given_offsets_;
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
      if (error.code() != Errc::kNumeric) throw;
    }
    if (!std::isfinite(value)) value = kBad;
    if (!result_.times.t.defined() || value < result_.objective) {
      result_.times = times;
      result_.objective = value;
    }
    ++result_.candidates;
    if (o_.report && !o_.report(result_.candidates, result_.objective)) result_.stopped = true;
    return value;
  }

  // Refines the best times so far with at most `candidates` more.
  void Refine(nlopt_algorithm algorithm, int64_t candidates) {
    candidates = std::min(candidates, o_.max_candidates - result_.candidates);
    const TimeCoordinates space(schedule_, result_.times, o_);
    std::vector<double> x, lower, upper, step;
    space.Describe(x, lower, upper, step);
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

  TimeSearchResult result_;

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
  search.Refine(NLOPT_LN_BOBYQA, (options.max_candidates - search.result_.candidates) * 2 / 3);
  search.Refine(NLOPT_LN_SBPLX, options.max_candidates - search.result_.candidates);
  return search.result_;
}

}  // namespace gas
