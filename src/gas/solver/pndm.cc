#include "gas/solver/pndm.h"

#include "gas/grid/time_grid.h"
#include "gas/solver/adams_bashforth.h"

namespace gas {

StepTable PndmTable(const NoiseSchedule& schedule, const Tensor& grid) {
  CheckGrid(grid);
  const int64_t steps = grid.size(0) - 1;
  const std::vector<SchedulePoint> points = PointsAt(schedule, grid);
  TableBuilder builder(schedule);

  // The first step twice, from the same x_0: by eps_0, then by the mean of eps_0 and of what the network
  // gives at the end of that.
  const Evaluation start = builder.Start(points[0].t);
  const LinearForm trial = NoiseStep(points[0], points[1], start.x, start.Noise());
  const Evaluation ahead = builder.Evaluate(trial, points[1].t);
  LinearForm next = NoiseStep(points[0], points[1], start.x, 0.5 * (start.Noise() + ahead.Noise()));

  // The history goes on from the corrected state; what was seen ahead is not in it.
  std::vector<LinearForm> noises = {start.Noise()};
  for (int64_t n = 1; n < steps; ++n) {
    const Evaluation here = builder.Evaluate(next, points[n].t);
    noises.push_back(here.Noise());
    const std::vector<double>& weights = AdamsBashforthWeights(std::min<int64_t>(kMostAdamsBashforth, n + 1));
    LinearForm noise;
    for (size_t i = 0; i < weights.size(); ++i) noise += weights[i] * noises[noises.size() - 1 - i];
    next = NoiseStep(points[n], points[n + 1], here.x, noise);
  }
  return builder.Finish(next, points[steps].t, "pndm");
}

}  // namespace gas
