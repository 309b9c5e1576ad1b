// The race of shapes: what is entered, what it costs, and that the order is that of the errors.
#include "gas/fit/solver_race.h"

#include "fit/problems.h"
#include "support/expect.h"

namespace gas {
namespace {

using testing::kTEps;
using testing::MixtureSource;

class SolverRace : public ::testing::Test {
 protected:
  RaceOptions Options() const {
    return {.nfe = 3, .t_eps = kTEps, .first = {.grid = "logsnr"}, .budget = 1 << 20};
  }

  double ErrorOf(const SolverShape& shape, const FitOptions& fit = {}) const {
    const FitTimes times = TimesOf(shape, *schedule_, 3, kTEps);
    return FitTable(times, schedule_, source_, FitOptionsOf(shape, fit)).rows.back().error;
  }

  const SchedulePtr schedule_ = VpLinearSchedule();
  const TrajectorySource source_ = MixtureSource(schedule_, 0, 64, 32);
};

TEST_F(SolverRace, OrdersGridsByTheirErrors) {
  RaceOptions options = Options();
  options.grids = {"uniform", "edm", "logsnr"};  // the first shape's own is not entered twice
  std::vector<std::string> told;
  options.report = [&](const SolverShape& shape, double, int64_t) { told.push_back(shape.Name()); };
  const RaceResult race = RaceSolvers(options, schedule_, source_);
  EXPECT_EQ(told, (std::vector<std::string>{"logsnr", "uniform", "edm"}));
  EXPECT_EQ(race.evaluations, 3 * 3 * 64);
  ASSERT_EQ(race.entries.size(), 3u);
  for (size_t i = 0; i < race.entries.size(); ++i) {
    const RaceEntry& entry = race.entries[i];
    EXPECT_EQ(entry.error, ErrorOf(entry.shape)) << entry.shape.Name();
    ASSERT_TRUE(entry.fit);
    if (i == 0) continue;
    const RaceEntry& before = race.entries[i - 1];
    EXPECT_TRUE(before.unstable != entry.unstable ? entry.unstable : before.error <= entry.error) << i;
  }
}

TEST_F(SolverRace, TriesStartsAndBandsFromTheBestOn) {
  RaceOptions options = Options();
  const auto statistics = std::make_shared<SpectrumStatistics>(std::vector<int64_t>{1, 2, 2});
  statistics->Add(source_.read(0).state(kTEps));
  options.starts = true;
  options.bands = {MakeSpectralBasis({1, 2, 2}, 3)};
  options.fit.basis = MakeSpectralBasis({1, 2, 2}, 1);
  options.fit.statistics = statistics;
  const RaceResult race = RaceSolvers(options, schedule_, source_);
  int64_t starts = 0, bands = 0;
  for (const RaceEntry& entry : race.entries) {
    EXPECT_EQ(entry.error, ErrorOf(entry.shape, options.fit)) << entry.shape.Name();
    if (entry.shape.start) ++starts;
    if (entry.shape.bands != nullptr) ++bands;
  }
  EXPECT_GE(starts, 2);
  EXPECT_EQ(bands, 1);
}

TEST_F(SolverRace, BeginsNothingThatItsBudgetDoesNotAllow) {
  RaceOptions options = Options();
  options.grids = {"uniform", "edm"};
  options.budget = 2 * 3 * 64 + 1;
  EXPECT_EQ(RaceSolvers(options, schedule_, source_).entries.size(), 2u);
  options.budget = 0;
  EXPECT_EQ(RaceSolvers(options, schedule_, source_).entries.size(), 1u);  // the first always is
}

TEST_F(SolverRace, ShapesSayWhatTheyAre) {
  const SolverShape shape{.grid = "edm-5", .start = 0.9, .bands = MakeSpectralBasis({1, 8, 8}, 4)};
  EXPECT_EQ(shape.Name(), "edm-5, 4 bands, start at 0.9");
  EXPECT_EQ((SolverShape{.grid = "edm", .bands = MakeSpectralBasis({1, 8, 8}, 1)}).Name(), "edm");
  EXPECT_EQ(TimesOf({.grid = "edm", .start = 0.9}, *schedule_, 3, kTEps).t[0].item<double>(), 0.9);
}

}  // namespace
}  // namespace gas
