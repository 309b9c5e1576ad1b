// Memory of this process and of the machine.
#ifndef GAS_CORE_MEMORY_H_
#define GAS_CORE_MEMORY_H_

#include <cstdint>

namespace gas {

// The most memory that this process has held, resident.
double PeakMebibytes();

// What the system could still give without swapping (MemAvailable of Linux), and no more than what is left of
// the process's control group (version 2); 0 where the system does not tell.
int64_t AvailableBytes();

}  // namespace gas

#endif  // GAS_CORE_MEMORY_H_
