#include "gas/core/interrupt.h"

#include <atomic>
#include <csignal>

namespace gas {
namespace {

constexpr int kNone = 0;
// Any thread of the program may get the signal, and any may ask. Atomic numbers without a lock are the ones
// that a signal handler may change.
std::atomic<int> signal_that_came = kNone;
std::atomic<bool> answered = false;
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

void Note(int signal) {
  answered = false;
  signal_that_came = signal;
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

}  // namespace

InterruptGuard::InterruptGuard() {
  signal_that_came = kNone;
  before_interrupt_ = std::signal(SIGINT, Note);
  before_terminate_ = std::signal(SIGTERM, Note);
}

InterruptGuard::~InterruptGuard() {
  std::signal(SIGINT, before_interrupt_);
  std::signal(SIGTERM, before_terminate_);
  signal_that_came = kNone;
}

bool InterruptRequested() { return signal_that_came != kNone && !answered; }

void CheckInterrupt() {
  if (InterruptRequested()) CheckNeverInterrupted();
}

void AnswerInterrupt() { answered = true; }

void CheckNeverInterrupted() {
  GAS_CHECK(signal_that_came != SIGINT, Errc::kInterrupted, "interrupted by SIGINT");
  GAS_CHECK(signal_that_came != SIGTERM, Errc::kTerminated, "interrupted by SIGTERM");
}

bool IsInterrupt(const Error& error) {
  return error.code() == Errc::kInterrupted || error.code() == Errc::kTerminated;
}

}  // namespace gas
