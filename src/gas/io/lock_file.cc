#include "gas/io/lock_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "gas/core/error.h"
#include "gas/io/descriptor.h"
#include "gas/io/file.h"
#include "gas/io/json.h"
#include "gas/io/processes.h"

namespace gas {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr uint64_t kMaxLockBytes = 4096;

// Field 22 of /proc/PID/stat, in ticks since the machine started; "" where it cannot be read. The second
// field is the program's name in parentheses and may hold spaces, so counting begins behind it.
std::string StartOf(int64_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text);
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return "";
  std::istringstream fields(text.substr(name_end + 1));
  std::string field;
  for (int number = 3; number <= 22; ++number) fields >> field;
  return field;
}

std::optional<LockOwner> OwnerOf(const fs::path& lock) {
  Bytes bytes;
  try {
    bytes = ReadFile(lock, kMaxLockBytes);
  } catch (const Error&) {
    return std::nullopt;  // it was removed just now
  }
  const Json json = ParseJsonOrNone({bytes.data(), bytes.size()}).value_or(nullptr);
  const bool complete = json.is_object() && json.contains("host") && json["host"].is_string() &&
                        json.contains("pid") && json["pid"].is_number_integer() && json.contains("started") &&
                        json["started"].is_string() && (!json.contains("verb") || json["verb"].is_string());
  if (!complete) return std::nullopt;
  return LockOwner{json["host"].get<std::string>(), json["pid"].get<int64_t>(),
                   json["started"].get<std::string>(), json.value("verb", "a process")};
}

bool CreateLock(const fs::path& lock, const std::string& verb) {
  const LockOwner owner = LockOwner::ThisProcess(verb);
  const Json json = {
      {"host", owner.host}, {"pid", owner.pid}, {"started", owner.started}, {"verb", owner.verb}};
  return WriteNewFile(lock, json.dump() + "\n");
}

// Removes the lock of a dead owner. Of several processes that find it at once, one removes it: each locks the
// file (flock) and then looks whether it is still the one at that path. So nobody removes the new lock of
// another.
void RemoveDeadLock(const fs::path& lock) {
  const Descriptor fd(::open(lock.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid() || ::flock(fd.get(), LOCK_EX) != 0) return;
  struct stat opened {
  }, present{};
  const bool same = ::fstat(fd.get(), &opened) == 0 && ::stat(lock.c_str(), &present) == 0 &&
                    opened.st_dev == present.st_dev && opened.st_ino == present.st_ino;
  if (!same) return;
  const std::optional<LockOwner> owner = OwnerOf(lock);
  if (owner && !owner->MayBeAlive()) ::unlink(lock.c_str());
}

}  // namespace

LockOwner LockOwner::ThisProcess(const std::string& verb) {
  const int64_t pid = ::getpid();
  return {HostName(), pid, StartOf(pid), verb};
}

bool LockOwner::MayBeAlive() const {
  if (host != HostName()) return true;
  if (!IsProcess(pid)) return false;
  const std::string now = StartOf(pid);
  return now.empty() || started.empty() || now == started;
}

std::optional<LockFile> LockFile::Take(const fs::path& path, const std::string& verb) {
  if (CreateLock(path, verb)) return LockFile(path);
  const std::optional<LockOwner> owner = OwnerOf(path);
  if (!owner || owner->MayBeAlive()) return std::nullopt;
  RemoveDeadLock(path);
  if (CreateLock(path, verb)) return LockFile(path);
  return std::nullopt;  // another process was faster
}

LockFile::LockFile(LockFile&& other) noexcept : path_(std::exchange(other.path_, {})) {}

LockFile& LockFile::operator=(LockFile&& other) noexcept {
  std::swap(path_, other.path_);
  return *this;
}

LockFile::~LockFile() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

std::string DescribeOwner(const fs::path& lock) {
  const std::optional<LockOwner> owner = OwnerOf(lock);
  return owner ? fmt::format("{} (pid {} on {})", owner->verb, owner->pid, owner->host)
               : "an unknown process";
}

}  // namespace gas
