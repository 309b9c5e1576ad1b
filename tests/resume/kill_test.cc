// Runs that are killed at random moments and finished give the same bits as one that was left alone.
// GAS_KILLS says how often each is killed (make kill-test: 50).
#include <signal.h>

#include <cstdlib>
#include <random>

#include <fmt/format.h>

#include "resume/runs.h"
#include "support/expect.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

using testing::BreakableRun;
using testing::Ended;

int Kills() {
  const char* text = std::getenv("GAS_KILLS");
  return text == nullptr ? 3 : std::atoi(text);
}

constexpr int kMostTries = 20;

class Killed : public testing::BreakableRunTest {};

TEST_P(Killed, GoesOnToTheSameBits) {
  const testing::TempFolder whole("kill_whole");
  LinkInputs(whole.path());
  const Ended unbroken = RunOnce(GetParam(), whole.path());
  ASSERT_EQ(unbroken.status, 0) << unbroken.errors;
  const auto expected = testing::ResultsIn(whole.path());
  std::mt19937 random(20);
  int stopped = 0;
  // A machine that is less busy than it was ends the run before the signal.
  double window = unbroken.seconds;
  for (int i = 0; i < Kills() || (stopped == 0 && i < kMostTries); ++i) {
    const testing::TempFolder folder("kill_broken");
    LinkInputs(folder.path());
    const int signal = std::vector<int>{SIGKILL, SIGINT, SIGTERM}[i % 3];
    const double after = std::uniform_real_distribution<>(0, window)(random);
    const std::string what = fmt::format("signal {} after {:.3f} s", signal, after);
    const Ended broken = RunOnce(GetParam(), folder.path(), testing::Signal{signal, after});
    EXPECT_THAT(broken.status, ::testing::AnyOf(0, 128 + signal)) << what << ": " << broken.errors;
    stopped += broken.status != 0;
    if (broken.status == 0) window /= 2;
    if (broken.status != 0 && signal != SIGKILL) {
      const std::string name = signal == SIGINT ? "SIGINT" : "SIGTERM";
      EXPECT_THAT(broken.errors, ::testing::HasSubstr("gas: interrupted by " + name +
                                                      "; what is finished is kept, "
                                                      "and the same command goes on"))
          << what;
    }
    if (signal != SIGKILL) {
      EXPECT_THAT(testing::LeftoversIn(folder.path()), ::testing::IsEmpty()) << what;
    }
    const Ended resumed = RunOnce(GetParam(), folder.path());
    EXPECT_EQ(resumed.status, 0) << what << ": " << resumed.errors;
    EXPECT_THAT(testing::LeftoversIn(folder.path()), ::testing::IsEmpty()) << what;
    EXPECT_TRUE(testing::ResultsIn(folder.path()) == expected) << what;
  }
  EXPECT_GT(stopped, 0) << "no signal came in time";
}

INSTANTIATE_TEST_SUITE_P(Verbs, Killed, ::testing::ValuesIn(testing::BreakableRuns()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace gas
