// Fixed time grids: at which times a solver evaluates the network (docs/math/grids.md).
#ifndef GAS_GRID_TIME_GRID_H_
#define GAS_GRID_TIME_GRID_H_

#include <string>
#include <string_view>
#include <vector>

#include "gas/schedule/noise_schedule.h"

namespace gas {

struct GridInfo {
  std::string name;
  std::string description;  // one line
};

// The grids that MakeGrid knows by name.
const std::vector<GridInfo>& ListGrids();

// The grid `name` with `steps` steps: [steps + 1] float64, strictly descending from schedule.t_start() to
// t_eps. name is one of
//   uniform    equal steps in t
//   quadratic  equal steps in sqrt(t)
//   logsnr     equal steps in lambda
//   edm        equal steps in (sigma / alpha)^(1/7) (Karras et al. 2022, eq. 5)
//   edm-RHO    the same with another exponent 1/RHO, RHO in [1, 1000]
//   shift-S    equal steps in u with sigma / alpha = S u / (1 - u), as models of rectified flow take them
//              (Esser et al. 2024, eq. 23), S in [0.01, 1000]; "shift" is S = 3
//   gits       the noise levels of GITS (Chen et al. 2024) for 5 to 8 steps; they bring their own ends
//   ays-sd15, ays-sdxl, ays-svd   those of Align Your Steps (Sabour et al. 2024), which are of ten steps, for
//              any number; they bring their own ends
// or a list "1,0.6,0.2,0.001" of steps + 1 times, used as it is, or "sigma:14.6,4.4,1.5,0.03" of steps + 1
// noise levels sigma / alpha. Throws Error(kBadOption) naming the value
// and its bound for an unknown name (with the nearest known one), steps outside [1, 10000], ends that
// EndOfSampling refuses, and lists that are not finite and descending from t_start at most.
Tensor MakeGrid(std::string_view name, const NoiseSchedule& schedule, int64_t steps, double t_eps);

// Whether `name` is a list of times or noise levels, which says itself where it begins and ends.
bool IsListOfTimes(std::string_view name);

// The same between two times of the schedule, t_from > t_to; not for noise levels and lists.
Tensor MakeGridBetween(std::string_view name, const NoiseSchedule& schedule, int64_t steps, double t_from,
                       double t_to);

// The pieces: each [steps + 1] float64 with the ends exactly t_from and t_to.
Tensor PolynomialGrid(double rho, int64_t steps, double t_from, double t_to);  // equal steps in t^(1/rho)
Tensor LogSnrGrid(const NoiseSchedule& schedule, int64_t steps, double t_from, double t_to);
Tensor EdmGrid(double rho, const NoiseSchedule& schedule, int64_t steps, double t_from, double t_to);
Tensor ShiftedGrid(double shift, const NoiseSchedule& schedule, int64_t steps, double t_from, double t_to);

// The noise levels sigma / alpha [steps + 1] of GITS for steps in [5, 8], for Stable Diffusion.
std::vector<double> GitsSigmas(int64_t steps);

// The noise levels sigma / alpha [steps + 1] of a grid of Align Your Steps: for other numbers than ten its
// list is interpolated, linearly in log sigma, as its authors do.
std::vector<double> AysSigmas(std::string_view name, int64_t steps);

// [N+1] float64. Throws Error(kBadOption) unless there are at least two times, all finite, strictly
// descending and above 0.
void CheckGrid(const Tensor& grid);

}  // namespace gas

#endif  // GAS_GRID_TIME_GRID_H_
