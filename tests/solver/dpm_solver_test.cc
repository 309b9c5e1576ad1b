// DPM-Solver and DPM-Solver++ against the reference implementation.
#include "gas/grid/time_grid.h"
#include "gas/solver/dpm_singlestep.h"
#include "support/expect.h"
#include "support/fixtures.h"
#include "support/reference.h"

namespace gas {
namespace {

using nlohmann::json;
using testing::Fixture;

Interpolant InterpolantOf(const json& c) {
  return c.at("algorithm_type") == "dpmsolver++" ? Interpolant::kData : Interpolant::kNoise;
}

SecondOrder KindOf(const json& c) {
  return c.at("solver_type") == "taylor" ? SecondOrder::kTaylor : SecondOrder::kMidpoint;
}

StepTable TableOf(const json& c, const NoiseSchedule& schedule, double t_eps) {
  const std::string grid = testing::ReferenceGridName(c.at("skip_type"));
  if (c.at("method") == "multistep") {
    return DpmMultistepTable({.interpolant = InterpolantOf(c),
                              .order = c.at("order"),
                              .second_order = KindOf(c),
                              .lower_order_final = c.at("lower_order_final")},
                             schedule, MakeGrid(grid, schedule, c.at("N"), t_eps));
  }
  const auto orders = SinglestepOrders(c.at("N"), c.at("order"));
  return DpmSinglestepTable({InterpolantOf(c), KindOf(c)}, schedule,
                            SinglestepGrid(grid, schedule, orders, t_eps), orders);
}

// Which of our states the fixture lists: all of a multistep run, those after the outer steps of a singlestep
// run.
std::vector<int64_t> ListedStates(const json& c) {
  std::vector<int64_t> listed;
  if (c.at("method") == "multistep") {
    for (int64_t n = 0; n < c.at("N"); ++n) listed.push_back(n);
    return listed;
  }
  int64_t at = 0;
  for (const int64_t order : c.at("orders").get<std::vector<int64_t>>()) listed.push_back(at += order);
  listed.pop_back();
  return listed;
}

TEST(DpmSolverReference, EveryCase) {
  const Fixture fixture("solvers/dpm_solver");
  testing::WorstError worst("dpm_solver, x_final"), worst_state("dpm_solver, states");
  for (const json& c : fixture.cases()) {
    const testing::SolverCase on = testing::SolverCaseOf(fixture, c);
    const std::string& prefix = on.prefix;
    SCOPED_TRACE(prefix);
    const testing::SolverRun run = testing::RunCase(TableOf(c, *on.schedule, on.t_eps), on);
    EXPECT_EQ(run.evaluations, c.at("nfe").get<int64_t>());
    EXPECT_TRUE(testing::Close(run.sample, fixture.at(prefix + "/x_final"), on.tolerance, 0));
    worst.Add(run.sample, fixture.at(prefix + "/x_final"), prefix);
    if (c.at("method") == "singlestep") {
      EXPECT_EQ(SinglestepOrders(c.at("N"), c.at("order")), c.at("orders").get<std::vector<int64_t>>());
    }
    if (!fixture.Has(prefix + "/states")) continue;
    const Tensor expected = fixture.at(prefix + "/states");
    const std::vector<int64_t> listed = ListedStates(c);
    ASSERT_EQ(expected.size(0), static_cast<int64_t>(listed.size()));
    for (size_t i = 0; i < listed.size(); ++i) {
      const Tensor want = expected[static_cast<int64_t>(i)];
      EXPECT_TRUE(testing::Close(run.states[listed[i]], want, on.tolerance, 0)) << "state " << listed[i];
      worst_state.Add(run.states[listed[i]], want, prefix);
    }
  }
}

TEST(DpmSolverReference, SinglestepOrders) {
  const Fixture fixture("timesteps/timesteps");
  ASSERT_FALSE(fixture.json().at("singlestep_orders").empty());
  for (const json& c : fixture.json().at("singlestep_orders")) {
    EXPECT_EQ(SinglestepOrders(c.at("steps"), c.at("order")), c.at("orders").get<std::vector<int64_t>>())
        << c;
  }
}

// The step that students train through is the one that the table is made of.
TEST(DpmPpStep, WeightsAreThoseOfTheTable) {
  const SchedulePtr schedule = VpLinearSchedule();
  const Tensor grid = MakeGrid("quadratic", *schedule, 5, 1e-3);
  const Tensor lambda = schedule->HalfLogSnr(grid);
  for (const ThirdOrderBase base : {ThirdOrderBase::kPublished, ThirdOrderBase::kCorrected}) {
    const StepTable table =
        DpmMultistepTable({.order = 3, .lower_order_final = false, .third_order = base}, *schedule, grid);
    const std::array<Tensor, 4> newest = {lambda[5], lambda[4], lambda[3], lambda[2]};
    const DpmPpStep step = MakeDpmPpStep(newest, base);
    const double alpha = schedule->Alpha(grid[5].item<double>());
    for (int64_t i = 0; i < 3; ++i) {
      Tensor weight = alpha * (step.phi_2 * step.d1[i] - step.phi_3 * step.d2[i]);
      if (i == 0) weight = weight - alpha * step.phi_1;
      EXPECT_NEAR(table.b[4][4 - i].item<double>(), weight.item<double>(), 1e-14);
    }
  }
}

TEST(DpmSolver, BadRequestsAreRefused) {
  const SchedulePtr schedule = VpLinearSchedule();
  const Tensor grid = MakeGrid("uniform", *schedule, 4, 1e-3);
  EXPECT_ERROR(DpmMultistepTable({.order = 4}, *schedule, grid), Errc::kBadOption,
               "order = 4, must be in [1, 3]");
  EXPECT_ERROR(DpmMultistepTable({.order = 2}, *schedule, grid.flip(0)), Errc::kBadOption,
               "must be below time 0");
  EXPECT_ERROR(DpmMultistepTable({.order = 2}, *schedule, grid.to(torch::kFloat32)), Errc::kBadOption,
               "float64");
  EXPECT_ERROR(DpmSinglestepTable({}, *schedule, grid, {2, 1}), Errc::kBadOption, "5 times, must be 4");
  EXPECT_ERROR(DpmSinglestepTable({}, *schedule, grid, {4}), Errc::kBadOption, "step of order 4");
  EXPECT_ERROR(SinglestepOrders(0, 2), Errc::kBadOption, "must be at least 1");
}

}  // namespace
}  // namespace gas
