#include "gas/export/sigma_list.h"

#include <fmt/format.h>

#include "gas/solver/euler.h"

namespace gas {
namespace {

// The largest difference of a coefficient. For a flow Euler's method in sigma is the same as in sigma /
// alpha.
double DifferenceFromEuler(const StepTable& table, const NoiseSchedule& schedule) {
  const StepTable euler = EulerTable(schedule, table.t);
  return std::max((table.a - euler.a).abs().max().item<double>(),
                  (table.b - euler.b).abs().max().item<double>());
}

// The width of the first state over that of the noise at its level.
double WidthOfFirstState(const StepTable& table) { return table.prior_std / table.sigma[0].item<double>(); }

}  // namespace

bool IsFlow(const NoiseSchedule& schedule) { return schedule.ToJson()["kind"] == "flow"; }

SigmaList SigmaListOf(const StepTable& table, const NoiseSchedule& schedule) {
  SigmaList list;
  const Tensor sigma = schedule.Sigma(table.t);
  const Tensor levels = (IsFlow(schedule) ? sigma : sigma / schedule.Alpha(table.t)).contiguous();
  list.sigmas.assign(levels.data_ptr<double>(), levels.data_ptr<double>() + levels.numel());
  if (table.spectral())
    list.lost.push_back(fmt::format("coefficients for each of {} frequency bands", table.basis->bands()));
  if (table.start) list.lost.emplace_back("the spectral start");
  const double shift = (table.t_eval - table.t.slice(0, 0, table.nfe())).abs().max().item<double>();
  if (shift > 1e-6)
    list.lost.push_back(fmt::format("times of the network that are up to {:.2g} off the states'", shift));
  if (!table.spectral()) {
    const double difference = DifferenceFromEuler(table, schedule);
    if (difference > kEulerTolerance)
      list.lost.push_back(fmt::format("coefficients that differ from Euler's by up to {:.2g}", difference));
  }
  if (const double width = WidthOfFirstState(table); !table.start && std::abs(width - 1) > 1e-2)
    list.lost.push_back(fmt::format("a first state {:.3g} times as wide as the noise at its level", width));
  return list;
}

}  // namespace gas
