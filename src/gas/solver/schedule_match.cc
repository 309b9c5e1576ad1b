#include "gas/solver/schedule_match.h"

#include <algorithm>
#include <limits>

namespace gas {
namespace {

double LargestDifference(const Tensor& of_table, const Tensor& of_schedule) {
  const Tensor scale = of_schedule.abs().clamp_min(1);
  const double largest = ((of_table - of_schedule).abs() / scale).max().item<double>();
  return std::isfinite(largest) ? largest : std::numeric_limits<double>::infinity();
}

}  // namespace

double DifferenceFromSchedule(const StepTable& table, const NoiseSchedule& schedule) {
  const torch::NoGradGuard no_grad;
  const Tensor t = table.t.slice(0, 0, table.nfe());
  return std::max({LargestDifference(table.alpha, schedule.Alpha(t)),
                   LargestDifference(table.sigma, schedule.Sigma(t)),
                   LargestDifference(table.alpha_eval, schedule.Alpha(table.t_eval)),
                   LargestDifference(table.sigma_eval, schedule.Sigma(table.t_eval))});
}

}  // namespace gas
