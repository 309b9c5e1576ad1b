// The choice between float32 and bfloat16, on networks that take as long and round as the test says.
#include "gas/eval/dtype_choice.h"

#include <thread>

#include "gas/core/autocast.h"
#include "gas/solver/late_start.h"
#include "gas/solver/registry.h"
#include "support/expect.h"
#include "support/gmm.h"

namespace gas {
namespace {

using std::chrono::milliseconds;

// In bfloat16 as long as it is told, in float32 20 ms.
class TimedDenoiser : public testing::GaussianDenoiser {
 public:
  TimedDenoiser(milliseconds time, double rounding)
      : GaussianDenoiser(0.2, 0.5), time_(time), rounding_(rounding) {}
  Tensor Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const override {
    const AutocastGuard autocast(torch::kCPU, torch::kBFloat16);
    std::this_thread::sleep_for(AutocastEnabled(torch::kCPU) ? time_ : milliseconds(20));
    return GaussianDenoiser::Predict(x, at, condition) + rounding_;
  }

 private:
  milliseconds time_;
  double rounding_;
};

class DtypeChoiceTest : public ::testing::Test {
 protected:
  static Model Timed(milliseconds time, double rounding = 0) {
    Model model;
    model.name = "gaussian";
    model.schedule = VpLinearSchedule();
    model.denoiser = std::make_shared<TimedDenoiser>(time, rounding);
    model.conditioner = std::make_shared<ClassConditioner>(0);
    model.shape = {1, 2, 2};
    return model;
  }
  static SolverInUse Solver(std::optional<double> error) {
    return {"ddim-3", MakeSolverTable("ddim", *VpLinearSchedule(), "logsnr", 3, 1e-3), error};
  }
  // With a float32 of 20 ms.
  DtypeChoice Choose(const Model& bfloat16, const std::vector<SolverInUse>& solvers) const {
    return ChooseDtype(
        float32_, [&] { return bfloat16; }, solvers, 2);
  }

  Model float32_ = Timed(milliseconds(20));
};

TEST_F(DtypeChoiceTest, AFastOneThatRoundsLittleIsTaken) {
  const DtypeChoice choice = Choose(Timed(milliseconds(2), 1e-4), {Solver(1e-3)});
  ASSERT_TRUE(choice.bfloat16);
  EXPECT_THAT(choice.text, ::testing::MatchesRegex("bfloat16 is [0-9.]+ times as fast as float32 and changes "
                                                   "samples by no more than their error; bfloat16 is taken"));
}

TEST_F(DtypeChoiceTest, ASlowOneIsNot) {
  for (const int time : {40, 80}) {
    const DtypeChoice choice = Choose(Timed(milliseconds(time)), {Solver(1e-3)});
    EXPECT_FALSE(choice.bfloat16);
    EXPECT_THAT(choice.text,
                ::testing::MatchesRegex("bfloat16 is [0-9.]+ times as fast as float32; float32 is kept"));
  }
}

// Every solver has to allow it: a shift of each prediction by 0.1 shifts samples by about as much.
TEST_F(DtypeChoiceTest, AnInexactOneIsNot) {
  const Model inexact = Timed(milliseconds(2), 0.1);
  EXPECT_TRUE(Choose(inexact, {Solver(0.1)}).bfloat16);
  const DtypeChoice choice = Choose(inexact, {Solver(0.1), Solver(1e-3)});
  EXPECT_FALSE(choice.bfloat16);
  EXPECT_THAT(choice.text, ::testing::HasSubstr("but it changes samples of ddim-3 by "));
  EXPECT_THAT(choice.text, ::testing::HasSubstr("more than their error of 0.001; float32 is kept"));
}

// Its rounding is seen where states are far from zero, which only those that begin from the image are.
TEST_F(DtypeChoiceTest, ARunThatBeginsFromAnImageIsJudgedThere) {
  class FarOff : public TimedDenoiser {
   public:
    FarOff() : TimedDenoiser(milliseconds(2), 0) {}
    Tensor Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const override {
      return TimedDenoiser::Predict(x, at, condition) + (x.mean().item<double>() > 20 ? 1.0 : 0.0);
    }
  };
  Model far = Timed(milliseconds(2));
  far.denoiser = std::make_shared<FarOff>();
  SolverInUse solver = Solver(1e-3);
  solver.table = FromNode(solver.table, 1);
  EXPECT_TRUE(Choose(far, {solver}).bfloat16);
  solver.clean = torch::full({1, 1, 2, 2}, 1000.0);
  EXPECT_FALSE(Choose(far, {solver}).bfloat16);
  solver.clean = torch::zeros({1, 1, 2, 2});
  EXPECT_TRUE(Choose(far, {solver}).bfloat16);
}

TEST_F(DtypeChoiceTest, OneWhoseSamplesAreNotFiniteIsNot) {
  const DtypeChoice choice = Choose(Timed(milliseconds(2), std::nan("")), {Solver(1e9)});
  EXPECT_FALSE(choice.bfloat16);
  EXPECT_THAT(choice.text, ::testing::HasSubstr("changes samples of ddim-3 by inf "));
}

TEST_F(DtypeChoiceTest, ASolverWithoutARecordedErrorKeepsFloat32) {
  const DtypeChoice choice = Choose(Timed(milliseconds(2)), {Solver(std::nullopt)});
  EXPECT_FALSE(choice.bfloat16);
  EXPECT_THAT(choice.text, ::testing::HasSubstr("no error of ddim-3 is recorded"));
}

TEST_F(DtypeChoiceTest, AModelThatHasNoneKeepsFloat32) {
  const auto refuse = [](Errc code) {
    return [code]() -> Model { Fail(code, "gaussian: dtype bfloat16, must be float32"); };
  };
  for (const Errc code : {Errc::kBadOption, Errc::kUnavailable}) {
    const DtypeChoice choice = ChooseDtype(float32_, refuse(code), {Solver(1)}, 2);
    EXPECT_FALSE(choice.bfloat16);
    EXPECT_EQ(choice.text, "gaussian: dtype bfloat16, must be float32; float32 is kept");
  }
  EXPECT_ERROR(ChooseDtype(float32_, refuse(Errc::kBadFile), {Solver(1)}, 2), Errc::kBadFile, "gaussian");
}

// The model is compared with itself, so that no second one is opened for the warning.
TEST_F(DtypeChoiceTest, ASlowBfloat16IsTold) {
  const std::optional<std::string> warning = SlowDtype(Timed(milliseconds(60)), torch::kBFloat16, 2);
  ASSERT_TRUE(warning);
  EXPECT_THAT(*warning, ::testing::MatchesRegex("bfloat16 takes [0-9.]+ times as long as float32 here"));
  EXPECT_FALSE(SlowDtype(Timed(milliseconds(2)), torch::kBFloat16, 2));
}

TEST(RecordedErrorTest, OnlyAMeanSquareCounts) {
  EXPECT_EQ(RecordedError({{"held_out_distance", 0.25}}), 0.25);
  const auto trained = [](const char* loss) {
    return nlohmann::json{{"held_out_distance", 0.25}, {"options", {{"train.loss", {{"value", loss}}}}}};
  };
  EXPECT_EQ(RecordedError(trained("l2")), 0.25);
  EXPECT_EQ(RecordedError(trained("l1")), std::nullopt);
  EXPECT_EQ(RecordedError(nlohmann::json::object()), std::nullopt);
  EXPECT_EQ(RecordedError(nullptr), std::nullopt);
  EXPECT_EQ(RecordedError({{"held_out_distance", "small"}}), std::nullopt);
  EXPECT_EQ(RecordedError({{"held_out_distance", 0.25}, {"options", nlohmann::json::array({1})}}), 0.25);
}

}  // namespace
}  // namespace gas
