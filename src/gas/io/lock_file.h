// Lock files: the right to write something that several processes could write, on one machine or on several
// with one file system.
#ifndef GAS_IO_LOCK_FILE_H_
#define GAS_IO_LOCK_FILE_H_

#include <filesystem>
#include <optional>
#include <string>

namespace gas {

// Who holds a lock.
struct LockOwner {
  std::string host;
  int64_t pid = 0;
  std::string started;  // of the process, as the kernel counts it: a number that is given again is told apart
  std::string verb;     // what it does: "gas train"

  static LockOwner ThisProcess(const std::string& verb);
  // False only for a process of this host that has ended; of other hosts nothing can be said.
  bool MayBeAlive() const;
};

// A file that is created exclusively and names its owner; removed at the end.
class LockFile {
 public:
  // The lock at `path`; nothing while another holds it. That of an owner that has died is taken over. Throws
  // Error(kIo) if the folder cannot be written.
  static std::optional<LockFile> Take(const std::filesystem::path& path, const std::string& verb);

  ~LockFile();
  LockFile(LockFile&& other) noexcept;
  LockFile& operator=(LockFile&& other) noexcept;

 private:
  explicit LockFile(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;  // empty once moved from
};

// The owner that a lock file names, "gas train (pid 4711 on HOST)", or "an unknown process".
std::string DescribeOwner(const std::filesystem::path& lock);

}  // namespace gas

#endif  // GAS_IO_LOCK_FILE_H_
