// SIGINT and SIGTERM as requests: whoever computes ends where nothing is lost.
#ifndef GAS_CORE_INTERRUPT_H_
#define GAS_CORE_INTERRUPT_H_

#include "gas/core/error.h"

namespace gas {

// While one exists the first SIGINT or SIGTERM is only noted, and the next one ends the program at once. One
// at a time; without one the signals end the program as usual, and the functions below see none.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

 private:
  void (*before_interrupt_)(int);
  void (*before_terminate_)(int);
};

// Whether a signal has come that nobody has answered.
bool InterruptRequested();

// Throws Error(kInterrupted) after SIGINT and Error(kTerminated) after SIGTERM, if InterruptRequested().
void CheckInterrupt();

// For who ends with the best so far: its last work may check again without being stopped.
void AnswerInterrupt();

// Throws like CheckInterrupt, also if the signal was answered: the end of a run that has kept its best so
// far.
void CheckNeverInterrupted();

// Whether CheckInterrupt threw it.
bool IsInterrupt(const Error& error);

}  // namespace gas

#endif  // GAS_CORE_INTERRUPT_H_
