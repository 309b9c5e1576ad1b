#include "gas/solver/dpm_multistep.h"

#include "gas/core/error.h"
#include "gas/grid/time_grid.h"

namespace gas {
namespace {

// Grids with at least this many steps keep their order to the end in the reference implementation.
constexpr int64_t kLowerOrderBelow = 10;

template <size_t N>
LinearForm Combine(const std::array<Tensor, N>& weights, const std::vector<LinearForm>& newest_first) {
  LinearForm sum;
  for (size_t i = 0; i < N; ++i) sum += weights[i].template item<double>() * newest_first[i];
  return sum;
}

std::string MethodName(const DpmMultistepOptions& options) {
  if (options.order == 1) return "ddim";
  std::string name = options.interpolant == Interpolant::kData ? "dpmpp-" : "dpm-";
  name += std::to_string(options.order) + "m";
  if (options.order == 3 && options.third_order == ThirdOrderBase::kCorrected) name += "-corrected";
  return name;
}

// The points of a step, newest first: target, current, and the `order - 1` before.
std::vector<Tensor> NewestLambdas(const std::vector<SchedulePoint>& points, int64_t n, int64_t order) {
  std::vector<Tensor> lambdas;
  for (int64_t i = 0; i <= order; ++i) lambdas.push_back(Scalar(points[n + 1 - i].lambda));
  return lambdas;
}

// history: m or eps of evaluations n, n-1, ...; as many as the order.
LinearForm Step(const DpmMultistepOptions& options, const ExponentialStep& exponential, const DpmPpStep& step,
                const LinearForm& state, const std::vector<LinearForm>& history) {
  const auto& weight = exponential.weight;
  LinearForm next = exponential.state * state + weight[0] * history[0];
  if (history.size() == 2) {
    const bool midpoint = options.second_order == SecondOrder::kMidpoint;
    next += (midpoint ? 0.5 * weight[0] : weight[1]) * Combine(step.d10, history);
  }
  if (history.size() == 3)
    next += weight[1] * Combine(step.d1, history) + weight[2] * Combine(step.d2, history);
  return next;
}

}  // namespace

StepTable DpmMultistepTable(const DpmMultistepOptions& options, const NoiseSchedule& schedule,
                            const Tensor& grid) {
  GAS_CHECK(options.order >= 1 && options.order <= 3, Errc::kBadOption,
            "DPM-Solver multistep: order = ", options.order, ", must be in [1, 3]");
  CheckGrid(grid);
  const std::vector<SchedulePoint> points = PointsAt(schedule, grid);
  const int64_t steps = grid.size(0) - 1;
  const bool lower_final = options.lower_order_final && steps < kLowerOrderBelow;

  TableBuilder builder(schedule);
  std::vector<Evaluation> evaluations{builder.Start(points[0].t)};
  for (int64_t n = 0;; ++n) {
    const int64_t order = std::min({options.order, n + 1, lower_final ? steps - n : steps});
    std::vector<LinearForm> history;
    for (int64_t i = 0; i < order; ++i) history.push_back(ValueOf(options.interpolant, evaluations[n - i]));
    const LinearForm next =
        Step(options, MakeExponentialStep(options.interpolant, points[n], points[n + 1]),
             MakeDpmPpStep(NewestLambdas(points, n, order), options.third_order), evaluations[n].x, history);
    if (n + 1 == steps) return builder.Finish(next, points[steps].t, MethodName(options));
    evaluations.push_back(builder.Evaluate(next, points[n + 1].t));
  }
}

StepTable DdimTable(const NoiseSchedule& schedule, const Tensor& grid) {
  return DpmMultistepTable({.order = 1}, schedule, grid);
}

}  // namespace gas
