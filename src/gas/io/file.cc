#include "gas/io/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "gas/core/error.h"
#include "gas/io/descriptor.h"
#include "gas/io/temporary_files.h"

namespace gas {
namespace {

namespace fs = std::filesystem;

// A file beside its target that removes itself unless it was renamed onto it.
class TemporaryFile {
 public:
  explicit TemporaryFile(const fs::path& target) : target_(target), fd_(Create()) {}
  ~TemporaryFile() {
    if (!committed_) ::unlink(path_.c_str());
  }

  void Append(std::span<const char> bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::write(fd_.get(), bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) Refuse("write");
      bytes = bytes.subspan(static_cast<size_t>(n));
    }
  }

  void Commit() {
    Finish();
    if (::rename(path_.c_str(), target_.c_str()) != 0) Refuse("rename to");
    committed_ = true;
    SyncParent();
  }

  // Commits unless the target exists; false if it does. A second link fails then, where a rename would
  // replace.
  bool CommitNew() {
    Finish();
    if (::link(path_.c_str(), target_.c_str()) != 0) {
      if (errno == EEXIST) return false;
      Refuse("create");
    }
    SyncParent();
    return true;
  }

 private:
  void Finish() {
    if (::fsync(fd_.get()) != 0) Refuse("sync");
    if (!fd_.Close()) Refuse("close");
  }

  // The new file is in place. Some file systems cannot sync a directory; that costs durability over a power
  // failure, never consistency, so it is no error.
  void SyncParent() const {
    const Descriptor directory(::open(Parent().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (directory.valid()) ::fsync(directory.get());
  }

  fs::path Parent() const { return target_.has_parent_path() ? target_.parent_path() : fs::path("."); }

  // The name does not contain the target's, which may already be as long as names can be. O_CREAT with 0666
  // rather than mkstemp, so that the file gets the mode that the user's umask asks for.
  int Create() {
    for (;;) {
      path_ = NextTemporaryPath(Parent());
      const int fd = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (fd >= 0) return fd;
      if (errno != EEXIST && errno != EINTR) Refuse("create");
    }
  }

  [[noreturn]] void Refuse(const char* what) const {
    const int error = errno;
    Fail(Errc::kIo, target_.string(), ": cannot ", what, " it: ", std::strerror(error));
  }

  fs::path target_;
  fs::path path_;
  Descriptor fd_;
  bool committed_ = false;
};

// The file that a symbolic link leads to, which need not exist: a rename would replace the link.
fs::path BehindLinks(const fs::path& path) {
  constexpr int kMostLinks = 40;  // as Linux allows
  fs::path target = path;
  std::error_code ignored;
  for (int i = 0; i < kMostLinks; ++i) {
    if (!fs::is_symlink(target, ignored)) return target;
    std::error_code error;
    const fs::path next = fs::read_symlink(target, error);
    GAS_CHECK(!error, Errc::kIo, target.string(), ": cannot read the symbolic link: ", error.message());
    target = target.parent_path() / next;  // `next` itself if it is absolute
  }
  Fail(Errc::kIo, path.string(), ": cannot write it: more than ", kMostLinks, " symbolic links");
}

// A rename would replace a device such as /dev/null by a file.
void CheckReplaceable(const fs::path& path) {
  std::error_code ignored;
  const fs::file_status status = fs::status(path, ignored);
  GAS_CHECK(!fs::exists(status) || fs::is_regular_file(status), Errc::kIo, path.string(),
            ": cannot write it: it exists and is not a regular file");
}

}  // namespace

bool LooksLikeFile(std::string_view text) { return text.find_first_of("/.") != text.npos; }

Bytes ReadFile(const fs::path& path, uint64_t max_bytes) {
  // O_NONBLOCK: opening a pipe must end in the message below, not wait for its writer.
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  GAS_CHECK(fd.valid(), Errc::kBadFile, path.string(), ": cannot open it: ", std::strerror(errno));
  struct stat info {};
  GAS_CHECK(::fstat(fd.get(), &info) == 0, Errc::kIo, path.string(), ": ", std::strerror(errno));
  GAS_CHECK(S_ISREG(info.st_mode), Errc::kBadFile, path.string(), ": not a regular file");
  const auto size = static_cast<uint64_t>(info.st_size);
  GAS_CHECK(size <= max_bytes, Errc::kBadFile, path.string(), ": ", size, " bytes, at most ", max_bytes,
            " are read");
  Bytes bytes(size);
  for (size_t have = 0; have < bytes.size();) {
    const ssize_t n = ::read(fd.get(), bytes.data() + have, bytes.size() - have);
    if (n < 0 && errno == EINTR) continue;
    GAS_CHECK(n >= 0, Errc::kIo, path.string(), ": cannot read it: ", std::strerror(errno));
    GAS_CHECK(n > 0, Errc::kBadFile, path.string(), ": ended at byte ", have, " of ", size,
              " while it was read");
    have += static_cast<size_t>(n);
  }
  return bytes;
}

void WriteFile(const fs::path& path,
               const std::function<void(const std::function<void(std::span<const char>)>& append)>& produce) {
  CheckReplaceable(path);
  TemporaryFile file(BehindLinks(path));
  produce([&file](std::span<const char> bytes) { file.Append(bytes); });
  file.Commit();
}

void WriteFile(const fs::path& path, std::span<const char> bytes) {
  WriteFile(path, [bytes](const auto& append) { append(bytes); });
}

bool WriteNewFile(const fs::path& path, std::span<const char> bytes) {
  std::error_code ignored;
  if (fs::exists(path, ignored)) return false;
  TemporaryFile file(path);
  file.Append(bytes);
  return file.CommitNew();
}

void MakeDirectory(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  GAS_CHECK(!error, Errc::kIo, path.string(), ": cannot create the directory: ", error.message());
}

}  // namespace gas
