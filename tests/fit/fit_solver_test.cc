#include "gas/fit/fit_solver.h"

#include "fit/problems.h"
#include "support/expect.h"

namespace gas {
namespace {

using testing::kTEps;
using testing::MixtureSource;

TEST(FitSolver, SearchAndStartOnlyWinWhereTheyHelp) {
  const SchedulePtr schedule = VpLinearSchedule();
  const FitSources sources{MixtureSource(schedule, 0, 128, 64), MixtureSource(schedule, 0, 64, 64),
                           MixtureSource(schedule, 5000, 64, 64)};
  SpectrumStatistics statistics({1, 2, 2});
  statistics.Add(sources.training.read(0).state(kTEps));
  for (const int64_t nfe : {2, 3, 5}) {
    FitSolverOptions options{.nfe = nfe, .t_eps = kTEps};
    options.fit.basis = MakeSpectralBasis({1, 2, 2}, 1);
    const FittedSolver plain = FitSolver(options, schedule, sources, nullptr);
    EXPECT_LT(plain.held_out, plain.base_held_out) << nfe;
    EXPECT_EQ(plain.start_time, 1.0);
    options.start = StartChoice::kAuto;
    const FittedSolver started = FitSolver(options, schedule, sources, &statistics);
    EXPECT_LE(started.held_out, plain.held_out) << nfe;
    EXPECT_EQ(started.start_time < 1.0, started.fit.table.start != nullptr);
    options.budget = 64 * nfe * 60;
    const FittedSolver searched = FitSolver(options, schedule, sources, &statistics);
    EXPECT_LE(searched.held_out, started.held_out) << nfe;
    EXPECT_LE(searched.evaluations, options.budget + 64 * nfe + 8 * 128 * nfe) << nfe;
    EXPECT_NEAR(ErrorOn(searched.fit.table, sources.held_out), searched.held_out, 1e-12);
  }
}

// The search begins with few trajectories, which leave more than twenty unknowns to chance; what it gains by
// ending with many shows on trajectories that it has never seen.
TEST(FitSolver, SearchEndsWithAllTrajectoriesThatTheBudgetAllows) {
  const SchedulePtr schedule = VpLinearSchedule();
  constexpr int64_t kFew = 16, kMany = 512, kNfe = 4;
  const TrajectorySource few = MixtureSource(schedule, 0, kFew, kFew);
  const TrajectorySource held_out = MixtureSource(schedule, 5000, 64, 64);
  const TrajectorySource unseen = MixtureSource(schedule, 50000, 512, 128);
  FitSolverOptions options{.nfe = kNfe, .t_eps = kTEps};
  double error[2];
  for (const int64_t training : {kFew, kMany}) {
    const FitSources sources{MixtureSource(schedule, 0, training, kFew), few, held_out};
    options.budget = 160000;
    const FittedSolver found = FitSolver(options, schedule, sources, nullptr);
    EXPECT_TRUE(found.searched);
    // Beyond the budget: the fits to all, on the grid and at searched times, and the last row anew.
    EXPECT_LE(found.evaluations, options.budget + 3 * kNfe * training);
    ASSERT_GE(found.stages.size(), 2u);
    EXPECT_EQ(found.stages.back().trajectories, training);
    error[training == kMany] = ErrorOn(found.fit.table, unseen);
  }
  EXPECT_LT(error[1], 0.9 * error[0]);
}

}  // namespace
}  // namespace gas
