#include "gas/core/interrupt.h"

#include <csignal>

namespace gas {
namespace {

volatile std::sig_atomic_t requested = 0;

void Note(int signal) {
  requested = 1;
  std::signal(signal, SIG_DFL);
}

}  // namespace

InterruptGuard::InterruptGuard() {
  requested = 0;
  before_ = std::signal(SIGINT, Note);
}

InterruptGuard::~InterruptGuard() { std::signal(SIGINT, before_); }

bool InterruptGuard::Requested() const { return requested != 0; }

}  // namespace gas
