// Solvers by name and by file, and what a file says of the model that it was made for.
#include "gas/teacher/solver_choice.h"

#include <functional>

#include "gas/solver/registry.h"
#include "support/expect.h"
#include "support/gmm.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

class SolverChoice : public ::testing::Test {
 protected:
  SolverChoice() {
    model_.name = "model";
    model_.sha256 = "abc";
    model_.schedule = VpLinearSchedule();
    model_.denoiser = std::make_shared<testing::GaussianDenoiser>(0.2, 0.5);
    model_.guidance = 2;
    model_.t_eps = 0.01;
    file_ = {.schedule = model_.schedule,
             .prediction = PredictionType::kData,
             .guidance = 2,
             .model = "model",
             .model_sha256 = "abc",
             .entries = {}};
    file_.entries[3] = {.table = MakeSolverTable("ddim", *model_.schedule, "", 3, 0.01), .t_eps = 0.01};
  }

  ChosenSolver Written() {
    WriteSolverFile(path_, file_);
    return {path_.string(), "", 3};
  }

  testing::TempFolder folder_{"solver_choice"};
  const std::filesystem::path path_ = folder_.path() / "solver.gas.json";
  Model model_;
  SolverFile file_;
};

TEST_F(SolverChoice, WhatNobodyAsksForIsAsTheFileSays) {
  const ChosenSolver chosen = Written();
  EXPECT_EQ(chosen.Guidance({}), 2);
  EXPECT_EQ(chosen.EndTime({}), 0.01);
  EXPECT_EQ(chosen.Guidance(3.0), 3);
  EXPECT_EQ(chosen.EndTime(0.1), 0.1);
  const ResolvedSolver solver = chosen.On(model_);
  EXPECT_TRUE(solver.differences.empty());
  EXPECT_EQ(solver.label, "ddim-3");
  EXPECT_EQ(solver.t_eps, 0.01);
}

TEST_F(SolverChoice, StatesOfAnotherShapeAreToldAndServed) {
  file_.state_shape = {4, 64, 64};
  model_.shape = {4, 64, 96};
  const ResolvedSolver other = Written().On(model_);
  ASSERT_EQ(other.differences.size(), 1u);
  EXPECT_THAT(other.differences[0],
              ::testing::HasSubstr("made on states of shape [4, 64, 64], not [4, 64, 96]"));
  model_.shape = file_.state_shape;
  EXPECT_TRUE(Written().On(model_).differences.empty());
  EXPECT_EQ(NewSolverFile(model_).state_shape, model_.shape);
}

TEST_F(SolverChoice, AMethodTakesTheModelsEndTime) {
  const ChosenSolver chosen("ddim", "uniform", 4);
  EXPECT_EQ(chosen.Guidance({}), 1);
  EXPECT_EQ(chosen.EndTime({}), std::nullopt);
  const ResolvedSolver solver = chosen.On(model_);
  EXPECT_EQ(solver.t_eps, 0.01);
  EXPECT_EQ(solver.table.t[-1].item<double>(), 0.01);
}

TEST_F(SolverChoice, EachContradictionIsAnErrorThatNamesBothOrIsTold) {
  struct Case {
    std::function<void(Model&)> change;
    Errc code;
    const char* message;
  };
  const Case cases[] = {
      {[](Model& m) { m.guidance = 3; }, Errc::kBadOption, "solver.gas.json: made for guidance 2, not for 3"},
      {[](Model& m) { m.t_eps = 0.001; }, Errc::kBadOption,
       "its table of 3 evaluations ends at t_eps = 0.01, not at 0.001"},
      {[](Model& m) { m.sha256 = "def"; }, Errc::kBadFile,
       "made for model model with SHA-256 abc, not for model with def"},
      {[](Model& m) {
         m.denoiser = std::make_shared<testing::GaussianDenoiser>(0.2, 0.5, PredictionType::kNoise);
       },
       Errc::kBadFile, "made for data prediction, the model predicts noise"},
      {[](Model& m) { m.schedule = VpLinearSchedule(0.1, 21); }, Errc::kBadFile,
       "from those of the model's schedule, must be at most 1e-05"},
  };
  const ChosenSolver chosen = Written();
  for (const Case& c : cases) {
    Model model = model_;
    c.change(model);
    EXPECT_ERROR(chosen.On(model), c.code, c.message);
    const ResolvedSolver solver = chosen.On(model, OnDifference::kTell);
    ASSERT_EQ(solver.differences.size(), 1u) << c.message;
    EXPECT_THAT(solver.differences[0], ::testing::HasSubstr(c.message));
    EXPECT_TRUE(testing::SameBits(solver.table.b, file_.entries[3].table.b));
  }
}

TEST_F(SolverChoice, AScheduleThatContradictsItsTableIsAnErrorOrTold) {
  file_.schedule = VpLinearSchedule(0.1, 21);
  const std::string message = "from those of its own schedule, must be at most 1e-05";
  const ChosenSolver chosen = Written();
  EXPECT_ERROR(chosen.On(model_), Errc::kBadFile, message);
  const ResolvedSolver solver = chosen.On(model_, OnDifference::kTell);
  ASSERT_EQ(solver.differences.size(), 1u);
  EXPECT_THAT(solver.differences[0], ::testing::HasSubstr(message));
}

TEST_F(SolverChoice, AFileForARangeOfGuidanceServesAllOfIt) {
  file_.guidance_range = {1, 3};
  const ChosenSolver chosen = Written();
  EXPECT_EQ(chosen.Guidance({}), 2);
  for (const double scale : {1.0, 2.5, 3.0}) {
    model_.guidance = scale;
    EXPECT_TRUE(chosen.On(model_).differences.empty()) << scale;
  }
  model_.guidance = 3.5;
  EXPECT_ERROR(chosen.On(model_), Errc::kBadOption, "made for guidance 1..3, not for 3.5");
  model_.guidance = 2;
  model_.guidance_range = {1.5, 3};
  EXPECT_TRUE(chosen.On(model_).differences.empty());
  model_.guidance_range = {1, 3.5};
  EXPECT_ERROR(chosen.On(model_), Errc::kBadOption, "made for guidance 1..3, not for 1..3.5");
}

TEST_F(SolverChoice, AMissingTableIsAnErrorBeforeThereIsAModel) {
  WriteSolverFile(path_, file_);
  EXPECT_ERROR(ChosenSolver(path_.string(), "", 4), Errc::kBadOption, "no table for nfe = 4, it has 3");
}

}  // namespace
}  // namespace gas
