#include "gas/export/sigma_list.h"

#include "gas/grid/time_grid.h"
#include "gas/solver/registry.h"
#include "support/expect.h"

namespace gas {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

SchedulePtr StableDiffusionSchedule() { return DiscreteSchedule(ScaledLinearAlphasCumprod(0.00085, 0.012)); }

TEST(SigmaList, EulersMethodLosesNothing) {
  for (const SchedulePtr& schedule : {StableDiffusionSchedule(), FlowSchedule()}) {
    const SigmaList list = SigmaListOf(MakeSolverTable("ddim", *schedule, "", 5, 1e-3), *schedule);
    EXPECT_THAT(list.lost, IsEmpty());
    EXPECT_EQ(list.sigmas.size(), 6U);
  }
}

TEST(SigmaList, LevelsAreCountedAsTheProgramsDo) {
  const SchedulePtr sd = StableDiffusionSchedule(), flow = FlowSchedule();
  // 14.6146 is the largest noise level of Stable Diffusion in every program that counts sigma / alpha.
  EXPECT_NEAR(SigmaListOf(MakeSolverTable("ddim", *sd, "", 3, 1e-3), *sd).sigmas[0], 14.6146, 1e-4);
  EXPECT_NEAR(SigmaListOf(MakeSolverTable("ddim", *flow, "", 3, 1e-3), *flow).sigmas[0], 0.999, 1e-12);
}

// Euler's method on the list, in the programs' own coordinates, is the table: sigma / alpha of x / alpha.
TEST(SigmaList, EulerInTheListIsTheTable) {
  const SchedulePtr schedule = StableDiffusionSchedule();
  const StepTable table = MakeSolverTable("ddim", *schedule, "", 4, 1e-3);
  const SigmaList list = SigmaListOf(table, *schedule);
  double x = 0.7, host = x / schedule->Alpha(table.t[0].item<double>());
  for (int64_t n = 0; n < 4; ++n) {
    const double m = 0.3 * static_cast<double>(n) - 0.2;  // any prediction
    x = table.a[n][n].item<double>() * x + table.b[n][n].item<double>() * m;
    host += (host - m) / list.sigmas[n] * (list.sigmas[n + 1] - list.sigmas[n]);
  }
  EXPECT_NEAR(host * schedule->Alpha(table.t[-1].item<double>()), x, 1e-12);
}

TEST(SigmaList, WhatIsLostIsNamed) {
  const SchedulePtr schedule = StableDiffusionSchedule();
  StepTable table = MakeSolverTable("dpmpp-2m", *schedule, "", 4, 1e-3);
  EXPECT_THAT(SigmaListOf(table, *schedule).lost,
              ElementsAre(HasSubstr("coefficients that differ from Euler's by up to")));
  table = MakeSolverTable("ddim", *schedule, "", 4, 1e-3);
  table.t_eval = table.t_eval - 0.004;
  table.prior_std = 1.1;
  EXPECT_THAT(SigmaListOf(table, *schedule).lost,
              ElementsAre(HasSubstr("times of the network that are up to 0.004 off"),
                          HasSubstr("a first state 1.1 times as wide")));
  table = MakeSolverTable("ddim", *schedule, "", 2, 1e-3);
  table.basis = MakeSpectralBasis({1, 4, 4}, 3);
  table.a = table.a.reshape({2, 2, 1, 1}).expand({2, 2, 1, table.basis->bands()}).contiguous();
  table.b = table.b.reshape({2, 2, 1, 1}).expand({2, 2, 1, table.basis->bands()}).contiguous();
  const Tensor ones = torch::ones({1, 4, 4}, torch::kFloat64);
  table.start = std::make_shared<SpectralStart>(SpectralStart{ones, ones});
  EXPECT_THAT(SigmaListOf(table, *schedule).lost,
              ElementsAre(HasSubstr("each of 3 frequency bands"), HasSubstr("the spectral start")));
}

}  // namespace
}  // namespace gas
