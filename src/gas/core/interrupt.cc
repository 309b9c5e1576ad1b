#include "gas/core/interrupt.h"

#include <csignal>

namespace gas {
namespace {

constexpr int kNone = 0;
volatile std::sig_atomic_t signal_that_came = kNone, answered = 0;

void Note(int signal) {
  signal_that_came = signal;
  answered = 0;
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

bool InterruptRequested() { return signal_that_came != kNone && answered == 0; }

void CheckInterrupt() {
  if (InterruptRequested()) CheckNeverInterrupted();
}

void AnswerInterrupt() { answered = 1; }

void CheckNeverInterrupted() {
  GAS_CHECK(signal_that_came != SIGINT, Errc::kInterrupted, "interrupted by SIGINT");
  GAS_CHECK(signal_that_came != SIGTERM, Errc::kTerminated, "interrupted by SIGTERM");
}

bool IsInterrupt(const Error& error) {
  return error.code() == Errc::kInterrupted || error.code() == Errc::kTerminated;
}

}  // namespace gas
