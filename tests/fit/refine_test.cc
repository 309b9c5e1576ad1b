#include "gas/fit/refine.h"

#include <csignal>

#include "fit/problems.h"
#include "gas/core/interrupt.h"
#include "gas/fit/fit_solver.h"
#include "support/expect.h"

namespace gas {
namespace {

using testing::kTEps;
using testing::MixtureSource;

constexpr int64_t kTrajectories = 512;  // of four numbers each, for about twenty unknowns

class Refine : public ::testing::Test {
 protected:
  FitResult RowAfterRow(int64_t nfe, const FitOptions& options = {}) const {
    return FitTable({MakeGrid("logsnr", *schedule_, nfe, kTEps), {}, {}}, schedule_, training_, options);
  }
  RefineResult Refined(const StepTable& table, int64_t budget, const FitOptions& options = {}) const {
    return RefineTable(table, schedule_, training_, {.budget = budget, .fit = options});
  }

  SchedulePtr schedule_ = VpLinearSchedule();
  TrajectorySource training_ = MixtureSource(schedule_, 0, kTrajectories, 128);
  std::shared_ptr<const Denoiser> network_ = testing::Mixture();
  TrajectorySource unseen_ = MixtureSource(schedule_, 50000, 128, 64);
};

// Rows after one another aim at the teacher's states, all at once at the sample: on this problem that is
// worth more than half of the error, on trajectories that were not fitted.
TEST_F(Refine, GainsWhatRowAfterRowCannotSee) {
  for (const int64_t nfe : {3, 4}) {
    const FitResult rows = RowAfterRow(nfe);
    const RefineResult refined = Refined(rows.table, 400000);
    EXPECT_GE(refined.rounds, 2);
    EXPECT_LT(refined.fit.rows.back().error, rows.rows.back().error);
    EXPECT_LT(ErrorOn(refined.fit.table, unseen_), 0.5 * ErrorOn(rows.table, unseen_)) << nfe;
  }
}

TEST_F(Refine, NeverWorseWhateverTheBudget) {
  const FitResult rows = RowAfterRow(3);
  for (const int64_t budget : {0, 4000, 25000, 50000}) {
    const RefineResult refined = Refined(rows.table, budget);
    // The last row is fitted once before anything else.
    EXPECT_LE(refined.fit.evaluations, std::max<int64_t>(budget, 3 * kTrajectories)) << budget;
    EXPECT_LE(refined.fit.rows.back().error, rows.rows.back().error * (1 + 1e-9)) << budget;
    EXPECT_EQ(refined.rounds == 0, budget <= 4000);
  }
}

TEST_F(Refine, CountsWhatTheNetworkIsAsked) {
  const auto counted = std::make_shared<CountingDenoiser>(*network_);
  const TrajectorySource source = MixtureSource(schedule_, 0, 16, 16, counted);
  const int64_t before = counted->count();
  const StepTable table = MakeSolverTable("dpmpp-3m", *schedule_, "logsnr", 3, kTEps);
  const RefineResult refined = RefineTable(table, schedule_, source, {.budget = 4000, .fit = {}});
  EXPECT_GE(refined.rounds, 1);
  EXPECT_EQ(refined.fit.evaluations, (counted->count() - before) * 16);  // one piece of 16 samples
}

TEST_F(Refine, KeepsHistoryAndConstants) {
  FitOptions options;
  options.history = 2;
  options.preserve_constant = true;
  const StepTable table = Refined(RowAfterRow(4, options).table, 200000, options).fit.table;
  EXPECT_EQ(table.b[3][1].item<double>(), 0);
  EXPECT_EQ(table.b[3][0].item<double>(), 0);
  EXPECT_EQ(table.b[2][0].item<double>(), 0);
  const Tensor alpha = schedule_->Alpha(table.t);
  for (int64_t n = 0; n < 4; ++n) {
    double sum = 0;
    for (int64_t j = 0; j <= n; ++j) sum += (table.a[n][j] * alpha[j] + table.b[n][j]).item<double>();
    EXPECT_NEAR(sum, alpha[n + 1].item<double>(), 1e-10) << n;
  }
}

// What is minimised is what falls, further than by a last row alone and than when squares are minimised: the
// absolute difference, and an embedding that looks at one number most.
TEST_F(Refine, MinimisesAnObjectiveOfItsOwn) {
  const FitResult rows = RowAfterRow(3);
  const StepTable squares = Refined(rows.table, 300000).fit.table;
  const Tensor look = torch::tensor({8.0, 1.0, 1.0, 1.0}, torch::kFloat64);
  const auto embedding = [look](const Tensor& x) { return torch::tanh(x.flatten(1)) * look; };
  for (const ObjectivePtr& objective : {HuberObjective(1e-3), EmbeddingObjective(embedding)}) {
    FitOptions options;
    options.objective = objective;
    const auto loss = [&](const StepTable& table) {
      return ErrorsOn(table, unseen_, objective.get()).objective.value();
    };
    const StepTable last_row = FitLastRow(rows.table, schedule_, training_, options).table;
    const RefineResult refined = Refined(rows.table, 300000, options);
    EXPECT_NEAR(refined.fit.rows.back().objective.value(),
                ErrorsOn(refined.fit.table, training_, objective.get()).objective.value(), 1e-9);
    EXPECT_LT(loss(refined.fit.table), 0.9 * loss(last_row));
    EXPECT_LT(loss(refined.fit.table), 0.97 * loss(squares));
  }
}

TEST_F(Refine, StopsWhenAskedWithTheBestSoFar) {
  const FitResult rows = RowAfterRow(3);
  double best = 0;
  const InterruptGuard guard;
  const RefineResult refined =
      RefineTable(rows.table, schedule_, training_,
                  {.budget = 800000, .fit = {}, .report = [&](int64_t spent, double error) {
                     best = error;
                     if (spent >= 30000 && !InterruptRequested()) std::raise(SIGINT);
                   }});
  EXPECT_TRUE(refined.stopped);
  EXPECT_EQ(refined.fit.rows.back().error, best);
  EXPECT_LT(refined.fit.evaluations, 90000);
}

TEST_F(Refine, SpectralTablesKeepTheirBands) {
  FitOptions options;
  options.basis = MakeSpectralBasis({1, 2, 2}, 3);
  const FitResult rows = RowAfterRow(3, options);
  ASSERT_TRUE(rows.table.spectral());
  const RefineResult refined = Refined(rows.table, 150000, options);
  EXPECT_TRUE(refined.fit.table.spectral());
  EXPECT_LT(refined.fit.rows.back().error, rows.rows.back().error);
  EXPECT_LT(ErrorOn(refined.fit.table, unseen_), ErrorOn(rows.table, unseen_));
}

}  // namespace
}  // namespace gas
