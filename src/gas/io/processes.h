// Which processes there are, on this host.
#ifndef GAS_IO_PROCESSES_H_
#define GAS_IO_PROCESSES_H_

#include <cstdint>
#include <string>

namespace gas {

std::string HostName();

// False only if this host has no process of that number.
bool IsProcess(int64_t pid);

}  // namespace gas

#endif  // GAS_IO_PROCESSES_H_
