#include "gas/fit/fit_solver.h"

#include <cmath>
#include <iostream>

#include "fit/problems.h"
#include "gas/solver/lint.h"
#include "support/expect.h"

namespace gas {
namespace {

using testing::kTEps;
using testing::MixtureSource;

class FitSolverTest : public ::testing::Test {
 protected:
  // Trajectories to fit from `seed` on, and some that decide.
  FitSources Sources(Seed seed, int64_t training, int64_t held_out) const {
    return {MixtureSource(schedule_, seed, training, 16), MixtureSource(schedule_, 5000, held_out, 32)};
  }

  // Options that leave everything open.
  FitSolverOptions Open(int64_t nfe, int64_t budget, const FitSources& sources) const {
    const auto statistics = std::make_shared<SpectrumStatistics>(std::vector<int64_t>{1, 2, 2});
    for (int64_t piece = 0; piece < sources.training.pieces(); ++piece) {
      statistics->Add(sources.training.read(piece).state(kTEps));
    }
    FitSolverOptions options{.nfe = nfe, .t_eps = kTEps, .search_start = true, .budget = budget};
    options.try_bands = {MakeSpectralBasis({1, 2, 2}, 2)};
    options.fit.most_brightness_change = 0.99 * kLintBrightness;
    options.fit.basis = MakeSpectralBasis({1, 2, 2}, 1);
    options.fit.statistics = statistics;
    return options;
  }

  const SchedulePtr schedule_ = VpLinearSchedule();
};

TEST_F(FitSolverTest, WithoutABudgetItIsTheFitOnTheGrid) {
  const FitSources sources = Sources(0, 64, 32);
  const FittedSolver found = FitSolver({.nfe = 3, .t_eps = kTEps, .grid = "edm-5"}, schedule_, sources);
  const FitTimes times{MakeGrid("edm-5", *schedule_, 3, kTEps), {}, {}};
  const FitResult expected = FitTable(times, schedule_, sources.training);
  EXPECT_TRUE(testing::SameBits(found.fit.table.b, expected.table.b));
  EXPECT_EQ(found.shape, "edm-5");
  EXPECT_FALSE(found.refined);
  EXPECT_EQ(found.evaluations, 3 * 64);
  EXPECT_EQ(found.held_out_evaluations, 2 * 3 * 32);  // its own and that of DPM-Solver++
  EXPECT_EQ(found.held_out, ErrorOn(expected.table, sources.held_out));
  EXPECT_EQ(FitSolver({.nfe = 3, .t_eps = kTEps}, schedule_, sources).shape, kPlainGrid);
}

TEST_F(FitSolverTest, KeepsToItsBudgetFromTheLeastOn) {
  const FitSources sources = Sources(0, 128, 32);
  for (const int64_t nfe : {1, 2, 4}) {
    for (const int64_t budget : {LeastBudget(nfe), int64_t{500}, int64_t{3000}, int64_t{12000}}) {
      const FitSolverOptions options = Open(nfe, budget, sources);
      const FittedSolver found = FitSolver(options, schedule_, sources);
      EXPECT_LE(found.evaluations, budget) << nfe;
      int64_t of_stages = 0;
      for (const SearchStage& stage : found.stages) of_stages += stage.evaluations;
      EXPECT_LE(of_stages, found.evaluations) << nfe;
      EXPECT_EQ(ErrorOn(found.fit.table, sources.held_out), found.held_out) << nfe << " " << budget;
    }
  }
  EXPECT_ERROR(FitSolver({.nfe = 3, .t_eps = kTEps, .budget = LeastBudget(3) - 1}, schedule_, sources),
               Errc::kBadOption, "fit.budget = 47, must be 0, or at least 48 to search for 3 evaluations");
}

// What holds always, whatever the rounding: the result is no worse on the held-out part than any other
// candidate, but for one that the lint calls unstable, whose error counts twice.
TEST_F(FitSolverTest, NeverShipsWhatLosesToSomethingSeen) {
  for (const Seed seed : {0, 1000, 2000, 3000}) {
    const FitSources sources = Sources(seed, 128, 32);
    const FittedSolver found = FitSolver(Open(3, 12000, sources), schedule_, sources);
    const bool unstable = LintTable(found.fit.table, *schedule_).verdict == LintVerdict::kUnstable;
    ASSERT_GE(found.stages.size(), 2u);
    for (const SearchStage& stage : found.stages) {
      if (!stage.held_out) continue;
      EXPECT_LE(found.held_out, (unstable ? 1 : 2) * *stage.held_out) << seed << " " << stage.what;
    }
  }
}

// Refinement and choice look at the objective; the distance is told beside it.
TEST_F(FitSolverTest, AnObjectiveOfItsOwnDecides) {
  const FitSources sources = Sources(0, 512, 64);
  FitSolverOptions options = Open(3, 60000, sources);
  options.try_bands = {};
  const StepTable squares = FitSolver(options, schedule_, sources).fit.table;
  const ObjectivePtr absolute = HuberObjective(1e-3);
  options.fit.objective = absolute;
  const FittedSolver found = FitSolver(options, schedule_, sources);
  const SampleErrors errors = ErrorsOn(found.fit.table, sources.held_out, absolute.get());
  EXPECT_TRUE(found.refined);
  EXPECT_EQ(found.held_out, errors.squared);
  EXPECT_EQ(found.held_out_objective.value(), errors.objective.value());
  const TrajectorySource unseen = MixtureSource(schedule_, 50000, 512, 128);
  EXPECT_LT(ErrorsOn(found.fit.table, unseen, absolute.get()).loss(),
            ErrorsOn(squares, unseen, absolute.get()).loss());
}

// What the options name is kept: the grid, the start, and that nothing is to be tried.
TEST_F(FitSolverTest, WhatIsNamedIsNotSearched) {
  const FitSources sources = Sources(0, 128, 32);
  FitSolverOptions options = Open(3, 6000, sources);
  options.grid = "edm-5";
  options.search_start = false;
  options.start = 0.9;
  options.try_bands = {};
  const FittedSolver found = FitSolver(options, schedule_, sources);
  EXPECT_EQ(found.fit.table.t[0].item<double>(), 0.9);
  EXPECT_FALSE(found.fit.table.spectral());
  EXPECT_EQ(found.shape, "edm-5, start at 0.9");
  for (const SearchStage& stage : found.stages) {
    EXPECT_NE(stage.what.find("edm-5, start at 0.9"), stage.what.npos) << stage.what;
  }
}

// A larger budget and more trajectories gain on trajectories that no search has seen: on average, since where
// one search ends is chance.
TEST_F(FitSolverTest, ALargerBudgetGainsOnUnseenTrajectories) {
  const TrajectorySource unseen = MixtureSource(schedule_, 50000, 512, 128);
  double log_ratio = 0;
  for (const Seed seed : {0, 10000, 20000, 30000}) {
    const FitSources few = Sources(seed, 64, 64), many = Sources(seed, 512, 64);
    const FittedSolver quick = FitSolver(Open(4, 500, few), schedule_, few);
    const FittedSolver thorough = FitSolver(Open(4, 160000, many), schedule_, many);
    const double before = ErrorOn(quick.fit.table, unseen), after = ErrorOn(thorough.fit.table, unseen);
    log_ratio += std::log(after / before);
    std::cout << "seed " << seed << ": error " << before << " by 500 evaluations, " << after
              << " by 160000\n";
  }
  EXPECT_LT(log_ratio, 0);
}

}  // namespace
}  // namespace gas
