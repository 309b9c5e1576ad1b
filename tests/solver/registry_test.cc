#include "gas/solver/registry.h"

#include <set>

#include "gas/grid/time_grid.h"
#include "gas/solver/sampler.h"
#include "support/expect.h"
#include "support/gmm.h"
#include "support/schedules.h"

namespace gas {
namespace {

using testing::AllSchedules;

// Solvers with times of their own have tests of their own.
bool CanRun(const SolverInfo& solver, int64_t nfe) {
  if (solver.name == "heun") return nfe % 2 == 1;
  if (solver.name == "pndm") return nfe >= 3;  // with one step it asks for noise where there is hardly any
  return !solver.default_grid.empty();
}

// Of five steps, as the grid gits has.
int64_t EvaluationsOfFiveSteps(const SolverInfo& solver) {
  if (solver.name == "heun") return 9;
  return solver.name == "pndm" ? 6 : 5;
}

Tensor ThreeNoises() { return torch::tensor({-1.25, 0.5, 2.0}, torch::kFloat64).reshape({3, 1, 1, 1}); }

// If all data is one point, data and noise predictions are constant along the flow, and every solver is
// exact, whatever its order, grid and number of steps.
TEST(Registry, EverySolverIsExactForOneDataPoint) {
  const testing::GaussianDenoiser network(0.7, 0.0, PredictionType::kNoise);
  for (const SchedulePtr& schedule : AllSchedules()) {
    for (const SolverInfo& solver : ListSolvers()) {
      for (const int64_t nfe : {1, 2, 3, 4, 5, 8, 11}) {
        if (!CanRun(solver, nfe)) continue;
        SCOPED_TRACE(solver.name + " " + std::to_string(nfe) + " " +
                     schedule->ToJson()["kind"].get<std::string>());
        const StepTable table = MakeSolverTable(solver.name, *schedule, "", nfe, schedule->t_end());
        ASSERT_EQ(table.nfe(), nfe);
        EXPECT_EQ(table.method, solver.name);
        EXPECT_EQ(
            table.a.triu(1).count_nonzero().item<int64_t>() + table.b.triu(1).count_nonzero().item<int64_t>(),
            0);
        EXPECT_TRUE(testing::SameBits(table.t_eval, table.t.slice(0, 0, nfe)));
        const CountingDenoiser counting(network);
        const Tensor sample = RunTable(table, counting, ThreeNoises(), {});
        EXPECT_EQ(counting.count(), nfe);
        const double from = schedule->t_start(), to = schedule->t_end();
        const Tensor start = ThreeNoises() * schedule->PriorStd(from);
        EXPECT_TRUE(testing::Close(sample, network.Flow(*schedule, start, from, to), 1e-9, 0));
      }
    }
  }
}

TEST(Registry, NamesAreUniqueAndDefaultsExist) {
  std::set<std::string> names, grids;
  for (const GridInfo& grid : ListGrids()) grids.insert(grid.name);
  for (const SolverInfo& solver : ListSolvers()) {
    EXPECT_TRUE(names.insert(solver.name).second) << solver.name;
    EXPECT_FALSE(solver.description.empty()) << solver.name;
    EXPECT_EQ(solver.description.find('\n'), std::string::npos) << solver.name;
    EXPECT_TRUE(solver.default_grid.empty() || grids.count(solver.default_grid)) << solver.name;
  }
}

TEST(Registry, EveryNamedGridAndListsWork) {
  const SchedulePtr schedule = AllSchedules().back();
  for (const SolverInfo& solver : ListSolvers()) {
    const int64_t nfe = EvaluationsOfFiveSteps(solver);
    if (!CanRun(solver, nfe)) continue;
    for (const GridInfo& grid : ListGrids()) {
      if (grid.name == "ays-svd") continue;  // begins at a noise level that this schedule does not reach
      EXPECT_EQ(MakeSolverTable(solver.name, *schedule, grid.name, nfe, 1e-3).nfe(), nfe);
    }
    const StepTable table = MakeSolverTable(solver.name, *schedule, "1,0.8,0.5,0.3,0.1,0.01", nfe, 1e-3);
    EXPECT_EQ(table.nfe(), nfe);
    EXPECT_EQ(table.t[-1].item<double>(), 0.01);
  }
}

TEST(Registry, RequestsThatCannotBeCarriedOutAreRefused) {
  const NoiseSchedule& schedule = *AllSchedules().front();
  EXPECT_ERROR(MakeSolverTable("neuralsolver", schedule, "uniform", 5, 1e-3), Errc::kBadOption,
               "it has times of its own");
  EXPECT_ERROR(MakeSolverTable("neuralsolver", schedule, "", 5, 1e-3), Errc::kBadOption,
               "is for rectified flow");
  EXPECT_ERROR(MakeSolverTable("dpmpp2m", schedule, "", 4, 1e-3), Errc::kBadOption, "did you mean dpmpp-2m?");
  EXPECT_ERROR(MakeSolverTable("unipc-3-bh3", schedule, "", 4, 1e-3), Errc::kBadOption,
               "did you mean unipc-3-bh1?");
  EXPECT_ERROR(MakeSolverTable("", schedule, "", 4, 1e-3), Errc::kBadOption, "unknown");
  EXPECT_ERROR(MakeSolverTable(std::string(1 << 20, '-'), schedule, "", 4, 1e-3), Errc::kBadOption,
               "unknown");
  EXPECT_ERROR(MakeSolverTable("heun", schedule, "", 4, 1e-3), Errc::kBadOption,
               "solver heun: 4 network evaluations");
  EXPECT_ERROR(MakeSolverTable("ddim", schedule, "", 0, 1e-3), Errc::kBadOption,
               "solver ddim: 0 network evaluations");
  EXPECT_ERROR(MakeSolverTable("ddim", schedule, "", -5, 1e-3), Errc::kBadOption, "must be in [1, 10000]");
  EXPECT_ERROR(MakeSolverTable("ddim", schedule, "", int64_t{1} << 60, 1e-3), Errc::kBadOption,
               "must be in [1, 10000]");
  EXPECT_ERROR(MakeSolverTable("ddim", schedule, "logsn", 4, 1e-3), Errc::kBadOption, "did you mean logsnr?");
  EXPECT_ERROR(MakeSolverTable("ddim", schedule, "", 4, 2), Errc::kBadOption, "t_eps = 2");
  EXPECT_ERROR(MakeSolverTable("ipndm-4", schedule, "gits", 4, 1e-3), Errc::kBadOption, "must be in [5, 8]");
}

}  // namespace
}  // namespace gas
