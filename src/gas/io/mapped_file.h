// A file's bytes in the address space, read from disk as they are looked at.
#ifndef GAS_IO_MAPPED_FILE_H_
#define GAS_IO_MAPPED_FILE_H_

#include <filesystem>
#include <span>

namespace gas {

// Read only. The file must not shrink while it is mapped: the system ends a program that reads beyond its
// end.
class MappedFile {
 public:
  // Throws Error(kBadFile) if the file is missing or not a regular file, Error(kIo) if it cannot be mapped.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const char> bytes() const { return bytes_; }
  // Takes the whole pages of a range out of memory; they are read again if they are looked at again.
  void Forget(std::span<const char> range) const;

 private:
  std::span<const char> bytes_;
};

}  // namespace gas

#endif  // GAS_IO_MAPPED_FILE_H_
