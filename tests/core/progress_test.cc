#include "gas/core/progress.h"

#include <cmath>
#include <thread>

#include "support/expect.h"

namespace gas {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

// What progress prints to a file that is no terminal unless it is said to be one.
class ProgressText : public ::testing::Test {
 protected:
  ~ProgressText() override { std::fclose(file_); }

  ProgressOutput Output(milliseconds every, bool terminal = false) const { return {file_, terminal, every}; }
  std::string Text() const {
    std::fflush(file_);
    std::string text(static_cast<size_t>(std::ftell(file_)), '\0');
    std::rewind(file_);
    EXPECT_EQ(std::fread(text.data(), 1, text.size(), file_), text.size());
    return text;
  }

  std::FILE* file_ = std::tmpfile();
};

TEST_F(ProgressText, WithoutATerminalItIsALineWithRateAndTimeLeft) {
  Progress progress("teacher", "samples", 100, Output(milliseconds(0)));
  progress.Update(10);
  progress.Update(20, "loss 0.5");
  EXPECT_THAT(Text(), MatchesRegex("teacher: 10/100 samples, [0-9.e+]+/s, [0-9]+ s left\n"
                                   "teacher: 20/100 samples, [0-9.e+]+/s, [0-9]+ s left, loss 0.5\n"));
}

TEST_F(ProgressText, ALineComesOnlyWhenItIsDue) {
  Progress progress("teacher", "samples", 100, Output(std::chrono::hours(1)));
  for (int64_t done = 1; done <= 100; ++done) progress.Update(done);
  EXPECT_EQ(Text(), "");
}

TEST_F(ProgressText, WithoutATerminalALineIsDueOnceAMinute) {
  // Standard error of a test is no terminal, or else there is nothing to see here.
  const ProgressOutput usual = ProgressOutput::Usual();
  if (usual.terminal) GTEST_SKIP() << "standard error is a terminal";
  EXPECT_EQ(usual.every, std::chrono::minutes(1));
}

TEST_F(ProgressText, WhatAnEarlierRunHasDoneDoesNotCountForTheRate) {
  Progress progress("pretrain", "images", 1'000'000, Output(milliseconds(0)));
  progress.Update(900'000);
  std::this_thread::sleep_for(milliseconds(20));
  progress.Update(900'001);
  const std::string text = Text();
  // One image in 20 ms or more, so at most 50 a second; with the earlier ones it would be millions.
  const size_t rate = text.rfind("images, ") + 8;
  EXPECT_LE(std::stod(text.substr(rate)), 50);
}

TEST_F(ProgressText, OnATerminalOneLineIsDrawnAgainAndTheLastUpdateIsShown) {
  {
    Progress progress("fit", "evaluations", 2, Output(std::chrono::hours(1), /*terminal=*/true));
    progress.Update(1);
    progress.Update(2);
  }
  EXPECT_THAT(Text(), MatchesRegex("\rfit: 2/2 evaluations, [^\n]*\n"));
}

}  // namespace
}  // namespace gas
