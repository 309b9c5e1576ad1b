#include "gas/solver/euler.h"

#include "gas/grid/time_grid.h"
#include "gas/solver/dpm_multistep.h"
#include "support/expect.h"

namespace gas {
namespace {

using testing::Close;

TEST(Euler, IsDdimWhereThatIsDefined) {
  for (const SchedulePtr& schedule : {VpLinearSchedule(), VeSchedule(0.002, 80)}) {
    const Tensor t = MakeGrid("logsnr", *schedule, 5, schedule->t_end());
    const StepTable euler = EulerTable(*schedule, t), ddim = DdimTable(*schedule, t);
    EXPECT_TRUE(Close(euler.a, ddim.a, 1e-12, 0));
    EXPECT_TRUE(Close(euler.b, ddim.b, 1e-12, 1e-12));
    EXPECT_NEAR(euler.prior_std, schedule->Sigma(t[0].item<double>()), 1e-12);
    ValidateTable(euler);
  }
}

TEST(Euler, EndsWithTheDataPredictionWhereNothingIsLeftOfTheNoise) {
  const SchedulePtr flow = FlowSchedule();
  const StepTable euler = EulerTable(*flow, torch::tensor({1.0, 0.4, 0.0}, torch::kFloat64));
  ValidateTable(euler);
  EXPECT_TRUE(Close(euler.a[1], torch::tensor({0.0, 0.0}, torch::kFloat64), 0, 0));
  EXPECT_TRUE(Close(euler.b[1], torch::tensor({0.0, 1.0}, torch::kFloat64), 0, 0));
}

}  // namespace
}  // namespace gas
