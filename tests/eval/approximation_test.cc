#include "gas/eval/approximation.h"

#include "gas/core/seeds.h"
#include "gas/grid/time_grid.h"
#include "gas/models/model.h"
#include "gas/solver/euler.h"
#include "gas/solver/registry.h"
#include "gas/solver/sampler.h"
#include "support/expect.h"

namespace gas {
namespace {

constexpr int64_t kApproximated = 4;

StepTable TableOn(const NoiseSchedule& schedule, const std::string& solver, int64_t steps) {
  return MakeSolverTable(solver, schedule, "uniform", steps, schedule.t_end());
}

TEST(Approximation, EulersMethodLosesNothing) {
  const Model model = OpenModel("mixture");
  const StepTable table = TableOn(*model.schedule, "ddim", 5);
  const auto measured = MeasureApproximation(table, model.schedule, model, kApproximated);
  ASSERT_TRUE(measured);
  EXPECT_LT(measured->difference, 1e-3 * measured->spread);
}

TEST(Approximation, OfTheModelsOwnScheduleIsWhatTheSamplerGives) {
  const Model model = OpenModel("mixture");
  const StepTable table = TableOn(*model.schedule, "dpmpp-2m", 4);
  const auto measured = MeasureApproximation(table, model.schedule, model, kApproximated);
  const torch::NoGradGuard no_grad;
  const auto sampled = [&](const StepTable& which) {
    const std::vector<Seed> seeds = SeedRange(0, kApproximated);
    return RunTable(which, *model.denoiser, NoiseFor(seeds, model.shape),
                    model.conditioner->Of(RequestsFor(seeds)));
  };
  const double expected =
      (sampled(table) - sampled(EulerTable(*model.schedule, table.t))).square().mean().sqrt().item<double>();
  EXPECT_NEAR(measured->difference, expected, 1e-4 * expected);
}

// The same sigma / alpha at other times, and states that are multiples: the same samples. A flow's first
// level is pure noise, which the model has not: it is asked at its own first.
TEST(Approximation, AnotherScheduleAsksTheModelAtItsOwnTimes) {
  const Model model = OpenModel("mixture");
  const SchedulePtr flow = FlowSchedule();
  const auto lent = MeasureApproximation(TableOn(*flow, "ddim", 400), flow, model, 64);
  const auto own = MeasureApproximation(TableOn(*model.schedule, "ddim", 400), model.schedule, model, 64);
  ASSERT_TRUE(lent && own);
  EXPECT_NEAR(lent->spread, own->spread, 0.02 * own->spread);
}

TEST(Approximation, BandsNeedStatesOfTheirShape) {
  const Model model = OpenModel("mixture");
  StepTable table = TableOn(*model.schedule, "ddim", 2);
  table.basis = MakeSpectralBasis({1, 4, 4}, 2);
  EXPECT_FALSE(MeasureApproximation(table, model.schedule, model, kApproximated));
}

}  // namespace
}  // namespace gas
