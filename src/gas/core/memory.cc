#include "gas/core/memory.h"

#include <malloc.h>
#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <string>

namespace gas {
namespace {

constexpr const char* kStatus = "/proc/self/status";

std::optional<int64_t> NumberIn(const std::string& path) {
  std::ifstream file(path);
  int64_t value = 0;
  if (file >> value) return value;
  return std::nullopt;
}

// Bytes of a line such as "MemAvailable:   12345 kB".
std::optional<int64_t> BytesOfLine(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key + ":")) return std::stoll(line.substr(key.size() + 1)) * 1024;
  }
  return std::nullopt;
}

std::optional<int64_t> AvailableOfTheMachine() { return BytesOfLine("/proc/meminfo", "MemAvailable"); }

// Without a limit memory.max says "max", which is no number. What the group has cached is given back when it
// is needed.
std::optional<int64_t> LeftOfTheControlGroup() {
  const std::optional<int64_t> limit = NumberIn("/sys/fs/cgroup/memory.max");
  const std::optional<int64_t> used = NumberIn("/sys/fs/cgroup/memory.current");
  if (!limit || !used) return std::nullopt;
  std::ifstream file("/sys/fs/cgroup/memory.stat");
  std::string key;
  int64_t value = 0, cached = 0;
  while (file >> key >> value) {
    if (key == "inactive_file") cached = value;
  }
  return std::max<int64_t>(0, *limit - *used + cached);
}

}  // namespace

double PeakMebibytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

void ReturnFreedMemory() { malloc_trim(0); }

ResidentMemory ResidentNow() {
  return {.anonymous = BytesOfLine(kStatus, "RssAnon").value_or(0),
          .files = BytesOfLine(kStatus, "RssFile").value_or(0)};
}

bool ResetPeakMemory() {
  std::ofstream clear("/proc/self/clear_refs");
  clear << 5;
  return bool(clear.flush());
}

int64_t PeakBytes() { return BytesOfLine(kStatus, "VmHWM").value_or(0); }

int64_t AvailableBytes() {
  const std::optional<int64_t> machine = AvailableOfTheMachine(), group = LeftOfTheControlGroup();
  if (machine && group) return std::min(*machine, *group);
  return machine ? *machine : group.value_or(0);
}

}  // namespace gas
