#include "gas/io/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "gas/core/error.h"
#include "gas/io/descriptor.h"

namespace gas {

MappedFile::MappedFile(const std::filesystem::path& path) {
  // O_NONBLOCK: opening a pipe must end in the message below, not wait for its writer.
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  GAS_CHECK(fd.valid(), Errc::kBadFile, path.string(), ": cannot open it: ", std::strerror(errno));
  struct stat info {};
  GAS_CHECK(::fstat(fd.get(), &info) == 0, Errc::kIo, path.string(), ": ", std::strerror(errno));
  GAS_CHECK(S_ISREG(info.st_mode), Errc::kBadFile, path.string(), ": not a regular file");
  const auto size = static_cast<size_t>(info.st_size);
  if (size == 0) return;  // nothing can be mapped, and nothing needs to be
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  GAS_CHECK(address != MAP_FAILED, Errc::kIo, path.string(), ": cannot map it: ", std::strerror(errno));
  bytes_ = {static_cast<const char*>(address), size};
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<char*>(bytes_.data()), bytes_.size());
}

void MappedFile::Forget(std::span<const char> range) const {
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<uintptr_t>(range.data()) + page - 1) / page * page;
  const auto end = reinterpret_cast<uintptr_t>(range.data() + range.size()) / page * page;
  if (begin >= end) return;
  // NOLINTNEXTLINE(performance-no-int-to-ptr): rounded to pages, which is arithmetic of numbers
  ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

}  // namespace gas
