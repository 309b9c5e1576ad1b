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

// integral of L_j(t) d(sigma/alpha) from points[0] to `to`, where L_j is 1 at points[j] and 0 at the others.
std::vector<double> LagrangeIntegrals(const NoiseSchedule& schedule, std::span<const SchedulePoint> points,
                                      const SchedulePoint& to) {
  const Quadrature q = GaussLegendre(points[0].lambda, to.lambda);
  const Tensor t = schedule.TimeOfHalfLogSnr(q.lambda);
  const Tensor density = -torch::exp(-q.lambda) * q.weight;  // d(sigma/alpha) = -e^-lambda d lambda
  std::vector<double> integrals;
  for (size_t j = 0; j < points.size(); ++j) {
    Tensor basis = density;
    for (size_t k = 0; k < points.size(); ++k) {
      if (k != j) basis = basis * ((t - points[k].t) / (points[j].t - points[k].t));
    }
    integrals.push_back(basis.sum().item<double>());
  }
  return integrals;
}

}  // namespace

StepTable DeisTable(int64_t degree, const NoiseSchedule& schedule, const Tensor& grid) {
  GAS_CHECK(degree >= 0 && degree <= 3, Errc::kBadOption, "DEIS: degree = ", degree, ", must be in [0, 3]");
  CheckGrid(grid);
  const std::vector<SchedulePoint> points = PointsAt(schedule, grid);
  const int64_t steps = grid.size(0) - 1;
  TableBuilder builder(schedule);
  std::vector<Evaluation> evaluations{builder.Start(points[0].t)};
  for (int64_t n = 0;; ++n) {
    std::vector<SchedulePoint> newest_first;
    for (int64_t j = 0; j <= std::min(degree, n); ++j) newest_first.push_back(points[n - j]);
    const std::vector<double> integrals = LagrangeIntegrals(schedule, newest_first, points[n + 1]);
    LinearForm next = (points[n + 1].alpha / points[n].alpha) * evaluations[n].x;
    for (size_t j = 0; j < integrals.size(); ++j) {
      next += (points[n + 1].alpha * integrals[j]) * evaluations[n - j].Noise();
    }
    if (n + 1 == steps) return builder.Finish(next, points[steps].t, "deis-" + std::to_string(degree));
    evaluations.push_back(builder.Evaluate(next, points[n + 1].t));
  }
}

}  // namespace gas
