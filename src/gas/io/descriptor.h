// A file descriptor that closes itself.
#ifndef GAS_IO_DESCRIPTOR_H_
#define GAS_IO_DESCRIPTOR_H_

#include <unistd.h>

#include <utility>

namespace gas {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { Close(); }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

  // Returns false if the system reports an error, as network file systems do only here.
  bool Close() {
    const bool ok = fd_ < 0 || ::close(fd_) == 0;
    fd_ = -1;
    return ok;
  }

 private:
  int fd_;
};

}  // namespace gas

#endif  // GAS_IO_DESCRIPTOR_H_
