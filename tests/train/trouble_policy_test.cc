// What a run does about trouble, and when it sees any.
#include "gas/train/trouble_policy.h"

#include "support/expect.h"

namespace gas {
namespace {

TEST(TroublePolicy, DoesNothingWhenAllIsWell) {
  for (const OnTrouble choice : {OnTrouble::kWarn, OnTrouble::kStop, OnTrouble::kRollBack}) {
    const TroubleResponse response = TroublePolicy(choice).Judge(std::nullopt, 100, 1, true);
    EXPECT_FALSE(response.roll_back);
    EXPECT_FALSE(response.message);
  }
}

TEST(TroublePolicy, WarnsNowAndThenAndWhenCoverageIsMeasured) {
  const TroublePolicy policy(OnTrouble::kWarn);
  EXPECT_FALSE(policy.Judge("it burns", kTroubleMemory + 1, 1, false).message);
  EXPECT_EQ(policy.Judge("it burns", 2 * kTroubleMemory, 1, false).message, "it burns");
  EXPECT_EQ(policy.Judge("it burns", 7, 1, true).message, "it burns");
  EXPECT_FALSE(policy.Judge("it burns", 7, 1, true).roll_back);
}

TEST(TroublePolicy, Stops) {
  EXPECT_ERROR(TroublePolicy(OnTrouble::kStop).Judge("it burns", 7, 1, false), Errc::kNumeric,
               "at iteration 7 it burns; the last checkpoint is kept");
}

TEST(TroublePolicy, RollsBackSixTimes) {
  const TroublePolicy policy(OnTrouble::kRollBack);
  EXPECT_TRUE(policy.Judge("it burns", 7, 1, false).roll_back);
  EXPECT_TRUE(policy.Judge("it burns", 7, 1.0 / 32, false).roll_back);
  EXPECT_ERROR(policy.Judge("it burns", 7, 1.0 / 64, false), Errc::kNumeric,
               "it did so again with the weight at 0.015625 of what was asked");
}

TEST(TroubleMonitor, SeesEachSign) {
  TroubleMonitor saturated, exploding, collapsing;
  for (int64_t i = 0; i < kTroubleMemory; ++i) {
    EXPECT_FALSE(saturated.Trouble());
    saturated.AddStep(1, 0);
    exploding.AddStep(0.5, 11);
  }
  EXPECT_THAT(*saturated.Trouble(), ::testing::HasSubstr("tells 1 of the pairs apart, bound 0.98"));
  EXPECT_THAT(*exploding.Trouble(), ::testing::HasSubstr("gradient penalty is 11, bound 10"));
  collapsing.AddCoverage(0.9);
  collapsing.AddCoverage(0.73);
  EXPECT_FALSE(collapsing.Trouble());
  collapsing.AddCoverage(0.71);
  EXPECT_THAT(*collapsing.Trouble(), ::testing::HasSubstr("covers 0.71 of the validation samples"));
}

TEST(TroubleMonitor, StateIsAllThatItKnows) {
  TroubleMonitor before, after;
  before.AddStep(0.7, 3);
  EXPECT_FALSE(before.State().contains("coverage"));
  before.AddCoverage(0.9);
  before.AddCoverage(0.5);
  after.SetState(before.State(), "file");
  EXPECT_EQ(after.Trouble(), before.Trouble());
  EXPECT_EQ(after.State().at("saturation").item<double>(), before.State().at("saturation").item<double>());
  EXPECT_ERROR(after.SetState({}, "file"), Errc::kBadFile, "file: adversary/steps is missing");
}

}  // namespace
}  // namespace gas
