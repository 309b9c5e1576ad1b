#include "gas/io/processes.h"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace gas {

std::string HostName() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown";
}

bool IsProcess(int64_t pid) { return ::kill(static_cast<pid_t>(pid), 0) == 0 || errno != ESRCH; }

}  // namespace gas
