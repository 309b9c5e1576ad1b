#include "gas/solver/heun.h"

#include "gas/grid/time_grid.h"
#include "gas/solver/table_builder.h"

namespace gas {

StepTable HeunTable(const NoiseSchedule& schedule, const Tensor& grid) {
  CheckGrid(grid);
  const std::vector<SchedulePoint> points = PointsAt(schedule, grid);
  const size_t steps = points.size() - 1;
  TableBuilder builder(schedule);
  Evaluation start = builder.Start(points[0].t);
  for (size_t k = 0;; ++k) {
    const SchedulePoint &from = points[k], &to = points[k + 1];
    const double scale = to.alpha / from.alpha;
    const double rise = to.sigma - scale * from.sigma;  // alpha' times the change of sigma / alpha
    const LinearForm euler = scale * start.x + rise * start.Noise();
    if (k + 1 == steps) return builder.Finish(euler, to.t, "heun");
    const Evaluation trial = builder.Evaluate(euler, to.t);
    const LinearForm next = scale * start.x + (rise / 2) * (start.Noise() + trial.Noise());
    start = builder.Evaluate(next, to.t);
  }
}

}  // namespace gas
