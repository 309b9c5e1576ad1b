// The noise schedules that tests of every schedule go through.
#ifndef GAS_TESTS_SUPPORT_SCHEDULES_H_
#define GAS_TESTS_SUPPORT_SCHEDULES_H_

#include "gas/schedule/noise_schedule.h"

namespace gas::testing {

// VP-linear first, then VE, cosine, rectified flow, and a discrete one (Stable Diffusion's) last.
inline const std::vector<SchedulePtr>& AllSchedules() {
  static const std::vector<SchedulePtr> schedules = {
      VpLinearSchedule(), VeSchedule(), CosineSchedule(), FlowSchedule(),
      DiscreteSchedule(ScaledLinearAlphasCumprod(0.00085, 0.012))};
  return schedules;
}

}  // namespace gas::testing

#endif  // GAS_TESTS_SUPPORT_SCHEDULES_H_
