#include "gas/solver/deis.h"

#include "gas/core/error.h"
#include "gas/grid/time_grid.h"
#include "gas/solver/table_builder.h"

namespace gas {
namespace {

// Gauss-Legendre on [-1, 1], the half with positive abscissae.
constexpr std::array<double, 4> kAbscissa = {0.1834346424956498, 0.5255324099163290, 0.7966664774136267,
                                             0.9602898564975363};
constexpr std::array<double, 4> kWeight = {0.3626837833783620, 0.3137066458778873, 0.2223810344533745,
                                           0.1012285362903763};
// Widest panel in lambda: over it e^-lambda and t(lambda) are resolved to the last digits.
constexpr double kPanel = 0.25;

struct Quadrature {
  Tensor lambda;  // [Q]
  Tensor weight;  // [Q]
};

Quadrature GaussLegendre(double from, double to) {
  const auto panels = static_cast<int64_t>(std::ceil((to - from) / kPanel));
  const double half = (to - from) / static_cast<double>(panels) / 2;
  std::vector<double> lambda, weight;
  for (int64_t p = 0; p < panels; ++p) {
    const double middle = from + half * static_cast<double>(2 * p + 1);
    for (size_t i = 0; i < kAbscissa.size(); ++i) {
      for (const double side : {-1.0, 1.0}) {
        lambda.push_back(middle + side * half * kAbscissa[i]);
        weight.push_back(half * kWeight[i]);
      }
    }
  }
  return {torch::tensor(lambda, torch::kFloat64), torch::tensor(weight, torch::kFloat64)};
}

// The variable u where lambda = -log(sigma/alpha) is known, [Q] float64.
Tensor VariableAt(DeisVariable variable, const NoiseSchedule& schedule, const Tensor& lambda) {
  switch (variable) {
    case DeisVariable::kTime: return schedule.TimeOfHalfLogSnr(lambda);
    case DeisVariable::kRho: return torch::exp(-lambda);
    case DeisVariable::kLogRho: return -lambda;
  }
  GAS_ASSERT(false);
}

double VariableAt(DeisVariable variable, const SchedulePoint& point) {
  switch (variable) {
    case DeisVariable::kTime: return point.t;
    case DeisVariable::kRho: return point.sigma / point.alpha;
    case DeisVariable::kLogRho: return -point.lambda;
  }
  GAS_ASSERT(false);
}

std::string MethodName(DeisVariable variable, int64_t degree) {
  switch (variable) {
    case DeisVariable::kTime: return "deis-" + std::to_string(degree);
    case DeisVariable::kRho: return "lms-" + std::to_string(degree + 1);
    case DeisVariable::kLogRho: return "deis-log-rho-" + std::to_string(degree);
  }
  GAS_ASSERT(false);
}

// integral of L_j(u) d(sigma/alpha) from points[0] to `to`, where L_j is 1 at points[j] and 0 at the others.
std::vector<double> LagrangeIntegrals(DeisVariable variable, const NoiseSchedule& schedule,
                                      std::span<const SchedulePoint> points, const SchedulePoint& to) {
  const Quadrature q = GaussLegendre(points[0].lambda, to.lambda);
  const Tensor u = VariableAt(variable, schedule, q.lambda);
  std::vector<double> knots;
  for (const SchedulePoint& point : points) knots.push_back(VariableAt(variable, point));
  const Tensor density = -torch::exp(-q.lambda) * q.weight;  // d(sigma/alpha) = -e^-lambda d lambda
  std::vector<double> integrals;
  for (size_t j = 0; j < points.size(); ++j) {
    Tensor basis = density;
    for (size_t k = 0; k < points.size(); ++k) {
      if (k != j) basis = basis * ((u - knots[k]) / (knots[j] - knots[k]));
    }
    integrals.push_back(basis.sum().item<double>());
  }
  return integrals;
}

}  // namespace

StepTable DeisTable(int64_t degree, const NoiseSchedule& schedule, const Tensor& grid,
                    DeisVariable variable) {
  GAS_CHECK(degree >= 0 && degree <= 3, Errc::kBadOption, "DEIS: degree = ", degree, ", must be in [0, 3]");
  CheckGrid(grid);
  const std::vector<SchedulePoint> points = PointsAt(schedule, grid);
  const int64_t steps = grid.size(0) - 1;
  TableBuilder builder(schedule);
  std::vector<Evaluation> evaluations{builder.Start(points[0].t)};
  for (int64_t n = 0;; ++n) {
    std::vector<SchedulePoint> newest_first;
    for (int64_t j = 0; j <= std::min(degree, n); ++j) newest_first.push_back(points[n - j]);
    const std::vector<double> integrals = LagrangeIntegrals(variable, schedule, newest_first, points[n + 1]);
    LinearForm next = (points[n + 1].alpha / points[n].alpha) * evaluations[n].x;
    for (size_t j = 0; j < integrals.size(); ++j) {
      next += (points[n + 1].alpha * integrals[j]) * evaluations[n - j].Noise();
    }
    if (n + 1 == steps) return builder.Finish(next, points[steps].t, MethodName(variable, degree));
    evaluations.push_back(builder.Evaluate(next, points[n + 1].t));
  }
}

}  // namespace gas
