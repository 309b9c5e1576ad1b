#include "gas/fit/table_point.h"

#include "fit/problems.h"
#include "support/expect.h"

namespace gas {
namespace {

using testing::Close;
using testing::kTEps;
using Kind = PointVariable::Kind;

class TablePoints : public ::testing::Test {
 protected:
  // `change` of one kind of variable, 0 for the others.
  Tensor ChangeOf(Kind kind, double change) const {
    std::vector<double> changes;
    for (const PointVariable& v : space_.variables()) changes.push_back(v.kind == kind ? change : 0);
    return torch::tensor(changes, torch::kFloat64);
  }

  static constexpr int64_t kSteps = 4;
  SchedulePtr schedule_ = VpLinearSchedule();
  StepTable table_ = MakeSolverTable("dpmpp-2m", *schedule_, "logsnr", kSteps, kTEps);
  TableSpace space_{table_, schedule_, {}};
  TablePoint point_ = space_.PointOf(table_);
};

TEST_F(TablePoints, TablesAndPointsAreInverse) {
  StepTable table = table_;
  table.t_eval = table.t_eval * 0.98;
  table.alpha_eval = schedule_->Alpha(table.t_eval);
  table.sigma_eval = schedule_->Sigma(table.t_eval);
  const StepTable again = space_.TableOf(space_.PointOf(table));
  for (const auto member : {&StepTable::t, &StepTable::t_eval, &StepTable::alpha, &StepTable::sigma,
                            &StepTable::alpha_eval, &StepTable::sigma_eval, &StepTable::a, &StepTable::b}) {
    EXPECT_TRUE(Close(again.*member, table.*member, 1e-10, 0));
  }
}

// The network sees no time further from its node than 0.9 of the step after it, on either side.
TEST_F(TablePoints, OffsetsStayWithinNineTenthsOfAStep) {
  const Tensor widths = point_.lambda.diff();
  const auto later = space_.Moved(point_, ChangeOf(Kind::kOffset, 100));
  ASSERT_TRUE(later);
  EXPECT_TRUE(Close(later->offset, 0.9 * widths, 1e-12, 0));
  const auto earlier = space_.Moved(point_, ChangeOf(Kind::kOffset, -100));
  ASSERT_TRUE(earlier);
  // Before the first node there is no time of the schedule.
  EXPECT_NEAR(earlier->offset[0].item<double>(), 0, 1e-12);
  EXPECT_TRUE(Close(earlier->offset.slice(0, 1), (-0.9 * widths).slice(0, 1), 1e-12, 0));
  const double little = 0.5 * widths.min().item<double>();
  const auto within = space_.Moved(point_, ChangeOf(Kind::kOffset, little));
  ASSERT_TRUE(within);
  EXPECT_TRUE(Close(within->offset, torch::full_like(widths, little), 1e-12, 0));
}

// All inner times move alike, so that the first step and the last change.
TEST_F(TablePoints, StepsShrinkToATenthAtMost) {
  const double width = point_.lambda.diff()[0].item<double>();  // all are equal
  const auto near = space_.Moved(point_, ChangeOf(Kind::kTime, 0.89 * width));
  ASSERT_TRUE(near);
  EXPECT_NEAR(near->lambda.diff()[-1].item<double>(), 0.11 * width, 1e-9);
  EXPECT_FALSE(space_.Moved(point_, ChangeOf(Kind::kTime, 0.91 * width)));
  EXPECT_FALSE(space_.Moved(point_, ChangeOf(Kind::kTime, -0.91 * width)));
}

TEST_F(TablePoints, ChangeUndoesMoved) {
  torch::manual_seed(2);
  const Tensor change =
      0.01 * torch::rand({static_cast<int64_t>(space_.variables().size())}, torch::kFloat64);
  const auto moved = space_.Moved(point_, change);
  ASSERT_TRUE(moved);
  // Offsets that are positive and small are within every bound.
  EXPECT_TRUE(Close(space_.Change(point_, *moved), change, 1e-9, 0));
  for (size_t i = 0; i < space_.variables().size(); ++i) {
    const TablePoint alone = space_.Moved(point_, space_.variables()[i], 0.01);
    Tensor expected = torch::zeros_like(change);
    expected[static_cast<int64_t>(i)] = 0.01;
    EXPECT_TRUE(Close(space_.Change(point_, alone), expected, 1e-9, 0)) << i;
  }
}

// A variable is told from which evaluation on it is seen: all before are those of the table as it was.
TEST_F(TablePoints, EvaluationsBeforeTheFirstDoNotDependOnTheVariable) {
  const auto network = testing::Mixture();
  const Tensor noise = testing::NoiseOf(0, 3, {1, 2, 2});
  const auto predictions = [&](const StepTable& table) {
    std::vector<Tensor> all;
    SampleOptions hooks;
    hooks.on_data_prediction = [&](int64_t, const Tensor& m) { all.push_back(m); };
    RunTable(table, *network, noise, {}, hooks);
    return all;
  };
  const std::vector<Tensor> before = predictions(space_.TableOf(point_));
  for (const PointVariable& v : space_.variables()) {
    const std::vector<Tensor> after = predictions(space_.TableOf(space_.Moved(point_, v, 0.05)));
    for (int64_t n = 0; n < kSteps; ++n) {
      const double moved = (after[n] - before[n]).abs().max().item<double>();
      if (n < v.first_evaluation) {
        EXPECT_EQ(moved, 0) << "variable of row " << v.n << ", evaluation " << n;
      } else if (n == v.first_evaluation) {
        EXPECT_GT(moved, 1e-6) << "variable of row " << v.n << ", evaluation " << n;
      }
    }
  }
}

}  // namespace
}  // namespace gas
