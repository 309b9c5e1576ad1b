#include "gas/solver/ipndm.h"

#include "gas/core/error.h"
#include "gas/grid/time_grid.h"
#include "gas/solver/adams_bashforth.h"

namespace gas {
StepTable IpndmTable(int64_t order, const NoiseSchedule& schedule, const Tensor& grid, const Tensor& t_eval) {
  GAS_CHECK(order >= 1 && order <= kMostAdamsBashforth, Errc::kBadOption, "iPNDM: order = ", order,
            ", must be in [1, ", kMostAdamsBashforth, "]");
  CheckGrid(grid);
  const int64_t steps = grid.size(0) - 1;
  const Tensor seen = (t_eval.defined() ? t_eval : grid.slice(0, 0, steps)).contiguous();
  GAS_CHECK(seen.dim() == 1 && seen.size(0) == steps && seen.scalar_type() == torch::kFloat64,
            Errc::kBadOption, "iPNDM: network times of shape ", seen.sizes(), ", must be ", steps,
            " float64 numbers");
  const std::vector<SchedulePoint> points = PointsAt(schedule, grid);
  const double* t_seen = seen.data_ptr<double>();

  TableBuilder builder(schedule);
  std::vector<Evaluation> evaluations{builder.Start(points[0].t, t_seen[0])};
  for (int64_t n = 0;; ++n) {
    const std::vector<double>& weights = AdamsBashforthWeights(std::min(order, n + 1));
    LinearForm noise;
    for (size_t i = 0; i < weights.size(); ++i) noise += weights[i] * evaluations[n - i].Noise();
    const LinearForm next = NoiseStep(points[n], points[n + 1], evaluations[n].x, noise);
    if (n + 1 == steps) return builder.Finish(next, points[steps].t, "ipndm-" + std::to_string(order));
    evaluations.push_back(builder.Evaluate(next, points[n + 1].t, t_seen[n + 1]));
  }
}

}  // namespace gas
