// Memory of this process and of the machine.
#ifndef GAS_CORE_MEMORY_H_
#define GAS_CORE_MEMORY_H_

#include <cstdint>

namespace gas {

// The most memory that this process has held, resident.
double PeakMebibytes();

// Gives memory that the process has freed and kept back to the system, so that ResidentNow tells what is in
// use.
void ReturnFreedMemory();

// What this process holds now, resident.
struct ResidentMemory {
  int64_t anonymous = 0;  // bytes of its own data, tensors among them
  int64_t files = 0;      // bytes of programs, libraries and other mapped files
};
// Both 0 where the system does not tell (it is Linux's /proc/self/status).
ResidentMemory ResidentNow();

// Begins the peak of resident memory anew from what is resident now, for PeakMebibytes too. False where the
// system does not offer it.
bool ResetPeakMemory();
// Bytes of that peak; 0 where the system does not tell.
int64_t PeakBytes();

// What the system could still give without swapping (MemAvailable of Linux), and no more than what is left of
// the process's control group (version 2); 0 where the system does not tell.
int64_t AvailableBytes();

}  // namespace gas

#endif  // GAS_CORE_MEMORY_H_
