#include "gas/core/interrupt.h"

#include <chrono>
#include <csignal>
#include <thread>

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

// A signal comes to any thread; the loops that ask are in others.
TEST(Interrupt, IsSeenFromThreadsThatDidNotGetIt) {
  const InterruptGuard guard;
  std::thread other([] { std::raise(SIGINT); });
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!InterruptRequested() && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  EXPECT_TRUE(InterruptRequested());
  AnswerInterrupt();
  std::thread asking([] { EXPECT_FALSE(InterruptRequested()); });
  other.join();
  asking.join();
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
