#include "gas/solver/dpm_singlestep.h"

#include <numeric>

#include "gas/core/error.h"
#include "gas/grid/time_grid.h"

namespace gas {
namespace {

// One step over points p[0..order], whose first is `start`; inner evaluations are appended to the builder.
class Stepper {
 public:
  Stepper(const DpmSinglestepOptions& options, TableBuilder& builder)
      : options_(options), builder_(builder) {}

  LinearForm Step(const Evaluation& start, std::span<const SchedulePoint> p) {
    if (p.size() == 2) return First(start, p[0], p[1]);
    return p.size() == 3 ? Second(start, p) : Third(start, p);
  }

 private:
  bool taylor() const { return options_.kind == SecondOrder::kTaylor; }
  LinearForm Value(const Evaluation& e) const { return ValueOf(options_.interpolant, e); }

  LinearForm First(const Evaluation& start, const SchedulePoint& from, const SchedulePoint& to) const {
    const ExponentialStep step = MakeExponentialStep(options_.interpolant, from, to);
    return step.state * start.x + step.weight[0] * Value(start);
  }

  // (f_1 - f_0) / r_1 approximates h f' (docs/math/dpmpp.md (8)).
  LinearForm Second(const Evaluation& start, std::span<const SchedulePoint> p) {
    const ExponentialStep step = MakeExponentialStep(options_.interpolant, p[0], p[2]);
    const double r1 = (p[1].lambda - p[0].lambda) / step.h;
    const Evaluation inner = builder_.Evaluate(First(start, p[0], p[1]), p[1].t);
    const LinearForm slope = (1 / r1) * (Value(inner) - Value(start));
    return First(start, p[0], p[2]) + (taylor() ? step.weight[1] : 0.5 * step.weight[0]) * slope;
  }

  // (9) and (10) of the same page.
  LinearForm Third(const Evaluation& start, std::span<const SchedulePoint> p) {
    const ExponentialStep step = MakeExponentialStep(options_.interpolant, p[0], p[3]);
    const ExponentialStep to_second = MakeExponentialStep(options_.interpolant, p[0], p[2]);
    const double r1 = (p[1].lambda - p[0].lambda) / step.h, r2 = (p[2].lambda - p[0].lambda) / step.h;
    const Evaluation first = builder_.Evaluate(First(start, p[0], p[1]), p[1].t);
    const LinearForm rise_1 = Value(first) - Value(start);
    const Evaluation second =
        builder_.Evaluate(First(start, p[0], p[2]) + (r2 / r1 * to_second.weight[1]) * rise_1, p[2].t);
    const LinearForm slope_1 = (1 / r1) * rise_1, slope_2 = (1 / r2) * (Value(second) - Value(start));
    const LinearForm base = First(start, p[0], p[3]);
    if (!taylor()) return base + step.weight[1] * slope_2;
    const LinearForm d1 = (1 / (r2 - r1)) * (r2 * slope_1 - r1 * slope_2);
    const LinearForm d2 = (2 / (r2 - r1)) * (slope_2 - slope_1);
    return base + step.weight[1] * d1 + step.weight[2] * d2;
  }

  const DpmSinglestepOptions& options_;
  TableBuilder& builder_;
};

}  // namespace

std::vector<int64_t> SinglestepOrders(int64_t nfe, int64_t order) {
  GAS_CHECK(order >= 1 && order <= 3, Errc::kBadOption, "DPM-Solver singlestep: order = ", order,
            ", must be in [1, 3]");
  GAS_CHECK(nfe >= 1, Errc::kBadOption, "DPM-Solver singlestep: ", nfe,
            " network evaluations, must be at least 1");
  std::vector<int64_t> orders(static_cast<size_t>(nfe / order), order);
  const int64_t rest = nfe % order;
  if (order == 3 && rest == 0) {
    orders.back() = 2;  // the reference ends with 2, 1 instead of a full step
    orders.push_back(1);
  } else if (rest > 0) {
    orders.push_back(rest);
  }
  return orders;
}

Tensor SinglestepGrid(std::string_view name, const NoiseSchedule& schedule,
                      const std::vector<int64_t>& orders, double t_eps) {
  if (name != "logsnr") {
    return MakeGrid(name, schedule, std::accumulate(orders.begin(), orders.end(), int64_t{0}), t_eps);
  }
  const Tensor outer = MakeGrid(name, schedule, static_cast<int64_t>(orders.size()), t_eps);
  std::vector<Tensor> pieces;
  for (size_t i = 0; i < orders.size(); ++i) {
    const auto at = static_cast<int64_t>(i);
    const double from = outer[at].item<double>(), to = outer[at + 1].item<double>();
    pieces.push_back(MakeGridBetween(name, schedule, orders[i], from, to).slice(0, 0, orders[i]));
  }
  pieces.push_back(outer.slice(0, -1));
  return torch::cat(pieces);
}

StepTable DpmSinglestepTable(const DpmSinglestepOptions& options, const NoiseSchedule& schedule,
                             const Tensor& times, const std::vector<int64_t>& orders) {
  CheckGrid(times);
  int64_t total = 0, highest = 0;
  for (const int64_t order : orders) {
    GAS_CHECK(order >= 1 && order <= 3, Errc::kBadOption, "DPM-Solver singlestep: step of order ", order,
              ", must be in [1, 3]");
    total += order;
    highest = std::max(highest, order);
  }
  GAS_CHECK(total + 1 == times.size(0), Errc::kBadOption, "DPM-Solver singlestep: ", times.size(0),
            " times, must be ", total + 1, " for ", total, " evaluations");

  const std::vector<SchedulePoint> points = PointsAt(schedule, times);
  TableBuilder builder(schedule);
  Stepper stepper(options, builder);
  Evaluation start = builder.Start(points[0].t);
  size_t at = 0;
  LinearForm sample;
  for (size_t i = 0; i < orders.size(); ++i) {
    const auto count = static_cast<size_t>(orders[i]);
    sample = stepper.Step(start, std::span(points).subspan(at, count + 1));
    at += count;
    if (i + 1 < orders.size()) start = builder.Evaluate(sample, points[at].t);
  }
  const char* family = options.interpolant == Interpolant::kData ? "dpmpp-" : "dpm-";
  return builder.Finish(sample, points[at].t, family + std::to_string(highest) + "s");
}

}  // namespace gas
