// Runs of the fit from a model to a solver file, and what a second run into the same folder does.
#include "gas/fit/fit_run.h"

#include "gas/io/file.h"
#include "support/expect.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

class FitRun : public ::testing::Test {
 protected:
  FitRunOptions Options(std::vector<int64_t> nfe) {
    const auto open = [](double guidance) { return OpenModel("mixture", {.guidance = guidance}); };
    FitRunOptions options{.trajectories = MadeByTheRun{.open_model = open},
                          .sizes = kSizes,
                          .nfe = std::move(nfe),
                          .budget = 0};
    options.folder = folder_.path();
    return options;
  }
  std::string Text() const {
    const Bytes bytes = ReadFile(folder_.path() / "solver.gas.json");
    return {bytes.begin(), bytes.end()};
  }
  static std::vector<int64_t> Tables(const SolverFile& file) {
    std::vector<int64_t> tables;
    for (const auto& [nfe, entry] : file.entries) tables.push_back(nfe);
    return tables;
  }

  static constexpr FitSizes kSizes{.training = 16, .held_out = 8, .batch = 16};
  testing::TempFolder folder_{"fit_run"};
};

TEST_F(FitRun, AddsTablesToTheFileOfTheSameFit) {
  const SolverFile first = RunFit(Options({2, 3})).file;
  RunFit(Options({4}));
  const SolverFile both = ReadSolverFile(folder_.path() / "solver.gas.json");
  EXPECT_EQ(Tables(both), (std::vector<int64_t>{2, 3, 4}));
  for (const int64_t nfe : {2, 3}) {
    EXPECT_TRUE(testing::SameBits(both.at(nfe).table.b, first.at(nfe).table.b)) << nfe;
    EXPECT_EQ(both.at(nfe).provenance, first.at(nfe).provenance);
  }
}

TEST_F(FitRun, RefusesTheFileOfAnotherFitAndChangesNothing) {
  RunFit(Options({2}));
  const std::string before = Text(), record = Sha256OfFile(folder_.path() / "options.json");
  const auto expect_refused = [&](const std::function<void(FitRunOptions&)>& change, const char* message) {
    FitRunOptions options = Options({3});
    change(options);
    int64_t sampled = 0;
    FitRunHooks hooks;
    hooks.samples = [&](int64_t, int64_t) { ++sampled; };
    EXPECT_ERROR(RunFit(options, hooks), Errc::kBadFile, message);
    EXPECT_EQ(Text(), before);
    EXPECT_EQ(Sha256OfFile(folder_.path() / "options.json"), record);
    EXPECT_FALSE(std::filesystem::exists(folder_.path() / "unfinished")) << message;
    return sampled;
  };
  const auto at_once = [&](const std::function<void(FitRunOptions&)>& change, const char* message) {
    EXPECT_EQ(expect_refused(change, message), 0) << message;
  };
  at_once([](FitRunOptions& o) { o.budget = 1000; },
          "has tables fitted with fit.budget = 0, this run has 1000; choose another folder");
  at_once([](FitRunOptions& o) { o.sizes.training = 24; }, "fit.trajectories = 16, this run has 24");
  at_once([](FitRunOptions& o) { o.solver.grid = "edm"; }, "student.grid = \"auto\", this run has \"edm\"");
  at_once([](FitRunOptions& o) { o.loss = "l1"; }, "fit.loss = \"l2\", this run has \"l1\"");
  // The model has to be opened for these.
  expect_refused(
      [](FitRunOptions& o) {
        o.trajectories = MadeByTheRun{[](double) { return OpenModel("mixture", {.t_eps = 0.01}); }, {1}};
      },
      "t_eps = 0.001, this run has 0.01");
  expect_refused(
      [](FitRunOptions& o) {
        o.trajectories = MadeByTheRun{[](double) {
                                        Model model = OpenModel("mixture");
                                        model.sha256 = "another";
                                        return model;
                                      },
                                      {1}};
      },
      "this run has \"another\"");
}

TEST_F(FitRun, RefusesAFileThatNoFitHasMade) {
  SolverFile file = RunFit(Options({2})).file;
  file.entries[2].provenance.erase("fit");
  WriteSolverFile(folder_.path() / "solver.gas.json", file);
  EXPECT_ERROR(RunFit(Options({3})), Errc::kBadFile,
               "its table of 2 evaluations does not say what it was fitted with");
}

// Counted by the network itself, but for the teacher's, which are apart.
TEST_F(FitRun, CountsEveryEvaluation) {
  class Counting : public Denoiser {
   public:
    explicit Counting(std::shared_ptr<const Denoiser> inner) : inner_(std::move(inner)) {}
    PredictionType prediction_type() const override { return inner_->prediction_type(); }
    Tensor Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const override {
      count_ += x.size(0);
      return inner_->Predict(x, at, condition);
    }
    int64_t count() const { return count_; }

   private:
    std::shared_ptr<const Denoiser> inner_;
    mutable int64_t count_ = 0;
  };
  for (const int64_t budget : {0, 2000}) {
    const testing::TempFolder folder("fit_run_count");
    std::shared_ptr<Counting> counting;
    FitRunOptions options = Options({3});
    options.folder = folder.path();
    options.budget = budget;
    options.trajectories = MadeByTheRun{[&](double) {
                                          Model model = OpenModel("mixture");
                                          counting = std::make_shared<Counting>(model.denoiser);
                                          model.denoiser = counting;
                                          return model;
                                        },
                                        {1}};
    const FitRunResult result = RunFit(options);
    const nlohmann::json& provenance = result.file.at(3).provenance;
    EXPECT_EQ(provenance["network_evaluations"].get<int64_t>() +
                  provenance["held_out_evaluations"].get<int64_t>() +
                  provenance["teacher_evaluations"].get<int64_t>(),
              counting->count());
    // Without a search: 16 to fit, 8 held out for the fit and for DPM-Solver++.
    if (budget == 0) {
      EXPECT_EQ(provenance["network_evaluations"], 3 * 16);
      EXPECT_EQ(provenance["held_out_evaluations"], 3 * 2 * 8);
    }
  }
}

TEST_F(FitRun, ABudgetTooSmallToSearchIsAnErrorBeforeAnyWork) {
  FitRunOptions options = Options({3});
  options.budget = 47;
  FitRunHooks hooks;
  hooks.samples = [](int64_t, int64_t) { ADD_FAILURE() << "the teacher has run"; };
  EXPECT_ERROR(RunFit(options, hooks), Errc::kBadOption,
               "fit.budget = 47, must be 0, or at least 48 to search for 3 evaluations");
}

// The budget of an effort is its share of what the teacher cost, 20 evaluations of 24 samples here, or what a
// search needs at least; what is told on the way keeps to it.
TEST_F(FitRun, AnEffortIsAShareOfTheTeacher) {
  for (const FitEffort effort : {FitEffort::kQuick, FitEffort::kStandard, FitEffort::kThorough}) {
    const testing::TempFolder folder("fit_run_effort");
    FitRunOptions options = Options({3});
    options.folder = folder.path();
    options.budget = effort;
    int64_t told = 0, budget = 0;
    FitRunHooks hooks;
    hooks.search = [&](const SearchProgress& at) {
      told = std::max(told, at.spent);
      budget = at.budget;
    };
    const FitRunResult result = RunFit(options, hooks);
    EXPECT_EQ(budget, std::max<int64_t>(48, static_cast<int64_t>(ShareOfTeacher(effort) * 480)));
    EXPECT_LE(told, budget);
    EXPECT_LE(result.parts[0].solver.evaluations, budget);
    EXPECT_EQ(result.file.at(3).provenance["fit"]["fit.budget"], kFitEffortNames.NameOf(effort));
  }
}

TEST_F(FitRun, ARangeOfGuidanceIsInTheFile) {
  FitRunOptions options = Options({2});
  std::get<MadeByTheRun>(options.trajectories).open_model = [](double guidance) {
    Model model = OpenModel("mixture");  // which has no classes, so that no guidance changes it
    model.guidance = guidance;
    return model;
  };
  std::get<MadeByTheRun>(options.trajectories).guidance = {1, 2, 3};
  const SolverFile file = ReadSolverFile(RunFit(options).path);
  EXPECT_EQ(file.guidance, 2);
  EXPECT_EQ(file.guidance_range, (std::pair<double, double>{1, 3}));
  EXPECT_EQ(file.GuidanceText(), "1..3");
}

}  // namespace
}  // namespace gas
