// Tables and schedules that belong together, or do not.
#include "gas/solver/schedule_match.h"

#include "gas/solver/registry.h"
#include "support/expect.h"
#include "support/schedules.h"

namespace gas {
namespace {

TEST(ScheduleMatch, TablesOfAScheduleMatchIt) {
  for (const SchedulePtr& schedule : testing::AllSchedules()) {
    const StepTable table = MakeSolverTable("dpmpp-3m", *schedule, "", 4, schedule->t_end());
    EXPECT_LE(DifferenceFromSchedule(table, *schedule), 1e-12) << schedule->ToJson();
  }
}

TEST(ScheduleMatch, AnotherScheduleIsFarAway) {
  const SchedulePtr linear = VpLinearSchedule();
  const StepTable table = MakeSolverTable("dpmpp-3m", *linear, "", 4, 1e-3);
  EXPECT_GT(DifferenceFromSchedule(table, *CosineSchedule()), 0.01);
  // Half a percent in beta_1 is 2e-3 in alpha, beyond what rounding to float32 does.
  EXPECT_GT(DifferenceFromSchedule(table, *VpLinearSchedule(0.1, 20.1)), kScheduleTolerance);
  StepTable rounded = table;
  for (Tensor* entry : {&rounded.alpha, &rounded.sigma, &rounded.alpha_eval, &rounded.sigma_eval}) {
    *entry = entry->to(torch::kFloat32).to(torch::kFloat64);
  }
  EXPECT_LE(DifferenceFromSchedule(rounded, *linear), kScheduleTolerance);
}

TEST(ScheduleMatch, EachOfTheFourListsCounts) {
  const SchedulePtr linear = VpLinearSchedule();
  for (Tensor StepTable::*list :
       {&StepTable::alpha, &StepTable::sigma, &StepTable::alpha_eval, &StepTable::sigma_eval}) {
    StepTable table = MakeSolverTable("ddim", *linear, "", 3, 1e-3);
    table.*list = (table.*list).clone();
    (table.*list)[1] += 0.25;
    EXPECT_NEAR(DifferenceFromSchedule(table, *linear), 0.25, 1e-12);
  }
}

// Time 80 of a schedule in sigma has no finite noise level in one that ends at 1.
TEST(ScheduleMatch, TimesOutsideAreInfinitelyFar) {
  const SchedulePtr flow = FlowSchedule();
  StepTable table = MakeSolverTable("ddim", *VeSchedule(), "", 3, 0.002);
  table.sigma = torch::full_like(table.sigma, std::nan(""));
  EXPECT_EQ(DifferenceFromSchedule(table, *flow), std::numeric_limits<double>::infinity());
}

}  // namespace
}  // namespace gas
