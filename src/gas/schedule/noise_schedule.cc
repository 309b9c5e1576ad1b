#include "gas/schedule/noise_schedule.h"

#include "gas/core/error.h"

namespace gas {
namespace {

// A bound may be typed with fewer digits than it has.
constexpr double kEndSlack = 1e-6;

}  // namespace

double EndOfSampling(const NoiseSchedule& schedule, std::optional<double> asked) {
  const double end = asked.value_or(schedule.t_end());
  const double least = schedule.t_least(), start = schedule.t_start();
  GAS_CHECK(end > 0 && end >= least * (1 - kEndSlack) &&
                    end<start, Errc::kBadOption, "t_eps = ", end, ", must be ", least> 0
                ? "at least "
                : "above ",
            least, " and below ", start, ", the times of the schedule");
  return end;
}

}  // namespace gas
