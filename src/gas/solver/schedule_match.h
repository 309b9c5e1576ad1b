// Whether a table belongs to a schedule: its alpha and sigma are those of the schedule at its times.
#ifndef GAS_SOLVER_SCHEDULE_MATCH_H_
#define GAS_SOLVER_SCHEDULE_MATCH_H_

#include "gas/schedule/noise_schedule.h"
#include "gas/solver/step_table.h"

namespace gas {

// What alpha and sigma of a table may differ by from the schedule's. Noise levels that a host computes in
// float32 differ by 1e-6 where sigma is small; another schedule differs by much more.
inline constexpr double kScheduleTolerance = 1e-5;

// The largest difference of alpha and sigma, at t and at t_eval, between the table and the schedule, relative
// to the larger of 1 and the schedule's value. Infinite where the schedule has no finite value.
double DifferenceFromSchedule(const StepTable& table, const NoiseSchedule& schedule);

}  // namespace gas

#endif  // GAS_SOLVER_SCHEDULE_MATCH_H_
