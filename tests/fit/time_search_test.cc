#include "gas/fit/time_search.h"

#include <csignal>

#include "fit/problems.h"
#include "gas/core/interrupt.h"
#include "support/expect.h"

namespace gas {
namespace {

using testing::Close;
using testing::kTEps;
using testing::MixtureSource;

// Squared distance of the lambdas, and of those that the network sees, to chosen ones.
std::function<double(const FitTimes&)> DistanceTo(const SchedulePtr& schedule, const Tensor& lambda,
                                                  const Tensor& seen) {
  return [=](const FitTimes& times) {
    const Tensor at = times.t_eval.defined() ? times.t_eval : times.t.slice(0, 0, -1);
    return ((schedule->HalfLogSnr(times.t) - lambda).square().sum() +
            (schedule->HalfLogSnr(at) - seen).square().sum())
        .item<double>();
  };
}

TEST(TimeSearch, FindsTimesAndOffsets) {
  const SchedulePtr schedule = VpLinearSchedule();
  const FitTimes initial{MakeGrid("logsnr", *schedule, 4, kTEps), {}, {}};
  Tensor lambda = schedule->HalfLogSnr(initial.t).clone();
  lambda[1] += 0.4;
  lambda[2] += 0.7;
  lambda[3] -= 0.2;
  const Tensor seen = lambda.slice(0, 0, 4) + torch::tensor({0.1, 0.3, 0.0, -0.2}, torch::kFloat64);
  int64_t calls = 0;
  TimeSearchOptions options{.max_candidates = 600};
  options.report = [&](int64_t candidate, double) { EXPECT_EQ(candidate, ++calls); };
  const TimeSearchResult found =
      SearchTimes(*schedule, {initial}, DistanceTo(schedule, lambda, seen), options);
  EXPECT_LT(found.objective, 1e-3);
  EXPECT_FALSE(found.stopped);
  EXPECT_EQ(calls, found.candidates);
  EXPECT_LE(found.candidates, 600);
  EXPECT_EQ(found.times.t[0].item<double>(), 1.0);
  EXPECT_EQ(found.times.t[-1].item<double>(), kTEps);
}

TEST(TimeSearch, MovesTheStartWhenAsked) {
  const SchedulePtr schedule = VpLinearSchedule();
  const FitTimes initial{MakeGrid("logsnr", *schedule, 3, kTEps), {}, {}};
  const Tensor lambda = LogSnrGrid(*schedule, 3, 0.7, kTEps);
  const auto objective =
      DistanceTo(schedule, schedule->HalfLogSnr(lambda), schedule->HalfLogSnr(lambda.slice(0, 0, 3)));
  const TimeSearchResult found =
      SearchTimes(*schedule, {initial}, objective, {.max_candidates = 400, .start = true});
  EXPECT_NEAR(found.times.t[0].item<double>(), 0.7, 0.01);
  EXPECT_EQ(SearchTimes(*schedule, {initial}, objective, {.max_candidates = 50}).times.t[0].item<double>(),
            1.0);
}

// Whatever the numbers tried, times descend and stay in range.
TEST(TimeSearch, OnlyProposesPossibleTimes) {
  const SchedulePtr schedule = CosineSchedule();
  const FitTimes initial{MakeGrid("uniform", *schedule, 5, kTEps), {}, {}};
  uint64_t state = 1;
  const auto objective = [&](const FitTimes& times) {
    CheckGrid(times.t);
    const double first = schedule->HalfLogSnr(schedule->t_start()), last = schedule->HalfLogSnr(kTEps);
    if (times.t_eval.defined()) {
      const Tensor lambda = schedule->HalfLogSnr(times.t_eval);
      EXPECT_GE(lambda.min().item<double>(), first - 1e-6);
      EXPECT_LE(lambda.max().item<double>(), last + 1e-6);
    }
    state = MixBits(state);
    return static_cast<double>(state % 1000);
  };
  EXPECT_EQ(SearchTimes(*schedule, {initial}, objective, {.max_candidates = 150, .start = true}).stopped,
            false);
}

// The network sees no time further from its node than 0.9 of the step after it. Each of the two refinements
// may make a step e^2 times as large, against the first one, as it was.
TEST(TimeSearch, KeepsOffsetsAndStepsWithinTheirBounds) {
  const SchedulePtr schedule = VpLinearSchedule();
  const FitTimes initial{MakeGrid("logsnr", *schedule, 3, kTEps), {}, {}};
  const auto widths = [&](const FitTimes& times) { return schedule->HalfLogSnr(times.t).diff(); };
  const auto offsets = [&](const FitTimes& times) {
    const Tensor seen = times.t_eval.defined() ? times.t_eval : times.t.slice(0, 0, 3);
    return (schedule->HalfLogSnr(seen) - schedule->HalfLogSnr(times.t.slice(0, 0, 3))) / widths(times);
  };
  const auto largest_offset = [&](const FitTimes& times) { return -offsets(times)[1].item<double>(); };
  const FitTimes far = SearchTimes(*schedule, {initial}, largest_offset, {.max_candidates = 200}).times;
  EXPECT_NEAR(offsets(far)[1].item<double>(), 0.9, 1e-3);
  const auto largest_step = [&](const FitTimes& times) {
    const Tensor w = widths(times);
    return -(w[1] / w[0]).item<double>();
  };
  const Tensor wide = widths(SearchTimes(*schedule, {initial}, largest_step, {.max_candidates = 200}).times);
  const double ratio = std::log((wide[1] / wide[0]).item<double>());
  EXPECT_GT(ratio, 1.9);
  EXPECT_LT(ratio, 4.01);
}

// An error that is not a number is as bad as can be, also that of the first candidate.
TEST(TimeSearch, NotANumberIsPassedOver) {
  const SchedulePtr schedule = VpLinearSchedule();
  const FitTimes initial{MakeGrid("logsnr", *schedule, 3, kTEps), {}, {}};
  int64_t calls = 0;
  const auto objective = [&](const FitTimes& times) {
    return ++calls % 3 == 1 ? std::nan("") : times.t[1].item<double>();
  };
  const TimeSearchResult found = SearchTimes(*schedule, {initial}, objective, {.max_candidates = 30});
  EXPECT_LT(found.objective, initial.t[1].item<double>());
  EXPECT_EQ(found.objective, found.times.t[1].item<double>());
}

TEST(TimeSearch, StopsWithTheBestSoFarAndPassesErrorsOn) {
  const SchedulePtr schedule = VpLinearSchedule();
  const FitTimes initial{MakeGrid("logsnr", *schedule, 3, kTEps), {}, {}};
  int64_t calls = 0;
  {
    const InterruptGuard guard;
    const auto interrupted = [&](const FitTimes& t) {
      if (++calls == 6) std::raise(SIGINT);
      CheckInterrupt();
      return t.t[1].item<double>();
    };
    const TimeSearchResult stopped = SearchTimes(*schedule, {initial}, interrupted, {.max_candidates = 100});
    EXPECT_TRUE(stopped.stopped);
    EXPECT_EQ(stopped.candidates, 5);
  }
  calls = 0;
  const auto failing = [&](const FitTimes&) -> double {
    if (++calls > 3) Fail(Errc::kBadFile, "shard 7 is damaged");
    return 1.0;
  };
  EXPECT_ERROR(SearchTimes(*schedule, {initial}, failing), Errc::kBadFile, "shard 7 is damaged");
  // Candidates at which the numbers run away are passed over.
  calls = 0;
  const auto diverging = [&](const FitTimes& t) -> double {
    if (++calls % 2 == 0) Fail(Errc::kNumeric, "not finite");
    return t.t[1].item<double>();
  };
  EXPECT_LT(SearchTimes(*schedule, {initial}, diverging, {.max_candidates = 30}).objective, 1.0);
}

}  // namespace
}  // namespace gas
