// A table as programs see it that take a list of noise levels and step between them by Euler's method.
#ifndef GAS_EXPORT_SIGMA_LIST_H_
#define GAS_EXPORT_SIGMA_LIST_H_

#include <string>
#include <vector>

#include "gas/schedule/noise_schedule.h"
#include "gas/solver/step_table.h"

namespace gas {

struct SigmaList {
  // [nfe+1] descending: sigma / alpha of the states as k-diffusion counts it, or sigma of a flow's. The last
  // is that of the sample.
  std::vector<double> sigmas;
  // What the table has and Euler's method on this list does not, a phrase each. Empty: nothing.
  std::vector<std::string> lost;
};

// Coefficients that differ from Euler's by less than this are taken for them.
inline constexpr double kEulerTolerance = 1e-3;

SigmaList SigmaListOf(const StepTable& table, const NoiseSchedule& schedule);

// Whether the schedule's programs count noise levels as sigma, not as sigma / alpha.
bool IsFlow(const NoiseSchedule& schedule);

}  // namespace gas

#endif  // GAS_EXPORT_SIGMA_LIST_H_
