#include "gas/core/interrupt.h"

#include <csignal>

#include "support/expect.h"

namespace gas {
namespace {

TEST(Interrupt, TheSignalDecidesTheStatus) {
  const InterruptGuard guard;
  EXPECT_NO_THROW(CheckInterrupt());
  std::raise(SIGINT);
  EXPECT_TRUE(InterruptRequested());
  EXPECT_ERROR((CheckInterrupt(), 0), static_cast<Errc>(130), "interrupted by SIGINT");
}

TEST(Interrupt, SigtermHasAStatusOfItsOwn) {
  const InterruptGuard guard;
  std::raise(SIGTERM);
  EXPECT_ERROR((CheckInterrupt(), 0), static_cast<Errc>(143), "interrupted by SIGTERM");
}

TEST(Interrupt, WhoAnswersMayWorkOnAndTheEndStillTells) {
  const InterruptGuard guard;
  std::raise(SIGINT);
  AnswerInterrupt();
  EXPECT_FALSE(InterruptRequested());
  EXPECT_NO_THROW(CheckInterrupt());
  EXPECT_ERROR((CheckNeverInterrupted(), 0), Errc::kInterrupted, "SIGINT");
}

TEST(Interrupt, AGuardBeginsWithoutOne) {
  {
    const InterruptGuard first;
    std::raise(SIGINT);
  }
  const InterruptGuard second;
  EXPECT_FALSE(InterruptRequested());
  EXPECT_NO_THROW(CheckNeverInterrupted());
}

void RaiseTwice() {
  const InterruptGuard guard;
  std::raise(SIGINT);
  std::raise(SIGTERM);
}

TEST(InterruptDeathTest, TheSecondSignalEndsTheProgram) {
  EXPECT_EXIT(RaiseTwice(), ::testing::KilledBySignal(SIGTERM), "");
}

}  // namespace
}  // namespace gas
