// Runs of the fit that are interrupted and go on.
#include <csignal>

#include "fit/problems.h"
#include "gas/core/interrupt.h"
#include "gas/fit/fit_run.h"
#include "gas/io/file.h"
#include "gas/io/run_folder.h"
#include "support/expect.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

using testing::TempFolder;

// Asked for the n-th time it raises SIGINT.
class SignallingDenoiser : public Denoiser {
 public:
  PredictionType prediction_type() const override { return inner_->prediction_type(); }
  Tensor Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const override {
    if (++calls == signal_at) std::raise(SIGINT);
    return inner_->Predict(x, at, condition);
  }
  mutable int64_t calls = 0;
  int64_t signal_at = 0;

 private:
  std::shared_ptr<const Denoiser> inner_ = testing::Mixture();
};

class InterruptedFit : public ::testing::Test {
 protected:
  FitRunOptions Options(const TempFolder& folder) const {
    Model model;
    model.name = "mixture";
    model.sha256 = "00";
    model.schedule = VpLinearSchedule();
    model.denoiser = network_;
    model.shape = {1, 2, 2};
    model.t_eps = testing::kTEps;
    const auto open = [model](double) { return model; };
    FitRunOptions run{.trajectories = MadeByTheRun{open, {1}},
                      .sizes = {.training = 16, .held_out = 8, .batch = 8},
                      .nfe = {2, 3},
                      .budget = 4000,
                      .bands = 1,
                      .folder = folder.path()};
    return run;
  }

  // The result without what differs from run to run.
  static std::string Lasting(SolverFile file) {
    for (auto& [nfe, entry] : file.entries) {
      for (const char* key : {"seconds", "peak_mebibytes"}) entry.provenance.erase(key);
    }
    return FormatSolverFile(file);
  }

  // Interrupted at the n-th call of the network. Whether a best so far was written.
  bool RunInterrupted(const FitRunOptions& options, int64_t call) const {
    const InterruptGuard guard;
    network_->calls = 0;
    network_->signal_at = call;
    bool kept = false;
    try {
      kept = RunFit(options).interrupted;
    } catch (const Error& error) {
      EXPECT_TRUE(IsInterrupt(error)) << error.what();
    }
    EXPECT_ERROR((CheckNeverInterrupted(), 0), Errc::kInterrupted, "SIGINT");
    network_->calls = network_->signal_at = 0;
    return kept;
  }

  std::shared_ptr<SignallingDenoiser> network_ = std::make_shared<SignallingDenoiser>();
};

TEST_F(InterruptedFit, AnInterruptedOneGoesOnToTheSameBitsAndDoesNotBeginAnew) {
  const TempFolder whole("fit_whole");
  const std::string expected = Lasting(RunFit(Options(whole)).file);
  const int64_t all = network_->calls;
  for (const double part : {0.02, 0.3, 0.6, 0.9}) {
    const TempFolder broken("fit_broken");
    const auto call = static_cast<int64_t>(part * static_cast<double>(all));
    RunInterrupted(Options(broken), call);
    EXPECT_TRUE(std::filesystem::exists(broken.path() / "unfinished")) << part;
    EXPECT_EQ(Lasting(RunFit(Options(broken)).file), expected) << part;
    EXPECT_EQ(Lasting(ReadSolverFile(broken.path() / "solver.gas.json")), expected) << part;
    // A round of the search is made again, or a batch of trajectories by 20 calls, and what is cheap.
    EXPECT_LE(network_->calls, all + 20 - call / 2) << part;
    EXPECT_FALSE(std::filesystem::exists(broken.path() / "unfinished")) << part;
  }
}

TEST_F(InterruptedFit, AnInterruptedSearchLeavesItsBestSoFar) {
  const TempFolder whole("fit_all"), broken("fit_best");
  const FitRunResult expected = RunFit(Options(whole));
  ASSERT_TRUE(RunInterrupted(Options(broken), network_->calls * 9 / 10));
  const SolverFile file = ReadSolverFile(broken.path() / "solver.gas.json");
  EXPECT_EQ(file.at(2).provenance["interrupted"], false);
  EXPECT_EQ(file.at(3).provenance["interrupted"], true);
  EXPECT_LE(file.at(3).provenance["held_out_distance"].get<double>(), expected.parts[1].solver.base_held_out);
}

// While trajectories are made, before there is a solver file, which would be refused first.
TEST_F(InterruptedFit, WhatAnotherRunHasLeftIsRefusedByName) {
  const TempFolder folder("fit_refused");
  RunInterrupted(Options(folder), 30);
  const auto files = [&] {
    const std::filesystem::recursive_directory_iterator all(folder.path());
    return std::distance(begin(all), end(all));
  };
  const auto before = files();
  FitRunOptions options = Options(folder);
  options.budget = 5000;
  EXPECT_ERROR(RunFit(options), Errc::kBadFile, "was made with fit.budget = 4000, this run has 5000");
  options = Options(folder);
  options.bands = 2;
  EXPECT_ERROR(RunFit(options), Errc::kBadFile, "was made with fit.bands = 1, this run has 2");
  EXPECT_EQ(files(), before);
}

TEST_F(InterruptedFit, WhatWasMadeForARunThatIsRefusedIsNotInTheWayOfAnother) {
  const TempFolder folder("fit_bad_option");
  FitRunOptions options = Options(folder);
  options.solver.grid = "0.9,0.5,0.001";
  EXPECT_ERROR(RunFit(options), Errc::kBadOption, "");
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "unfinished"));
  EXPECT_EQ(RunFit(Options(folder)).parts.size(), 2u);
}

TEST_F(InterruptedFit, ASecondRunInTheFolderIsRefused) {
  const TempFolder folder("fit_two");
  const RunFolder other(folder.path(), "gas train");
  EXPECT_ERROR(RunFit(Options(folder)), Errc::kUnavailable, "gas train (pid ");
}

// A search's journal holds doubles that decide which way it goes.
TEST(FitJournal, GivesBackWhatItKeptInAnotherProcessToTheBit) {
  const TempFolder folder("fit_journal");
  const auto path = folder.path() / "journal.jsonl";
  const double value = 0.1 + 1e-17 * 3;
  {
    FitJournal journal(path, {{"a", 1}});
    JournalPart(journal, "4/").Part("part").Keep("round 1", {{"error", value}});
  }
  FitJournal again(path, {{"a", 1}});
  const JournalPart part(again, "4/");
  EXPECT_EQ(part.Part("part").Find("round 1")->at("error").get<double>(), value);
  EXPECT_FALSE(part.Find("round 1"));
  EXPECT_FALSE(JournalPart().Find("round 1"));
  EXPECT_ERROR(FitJournal(path, {{"a", 2}}), Errc::kBadFile, "was made with a = 1, this run has 2");
}

}  // namespace
}  // namespace gas
