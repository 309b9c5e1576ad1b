// A deflate stream in memory, decompressed in pieces of known size.
#ifndef GAS_IO_INFLATE_H_
#define GAS_IO_INFLATE_H_

#include <zlib.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace gas {

class Inflater {
 public:
  enum class Wrapping { kRaw, kGzip };

  // `name` begins each message. `bytes` must outlive this.
  Inflater(std::string_view name, std::span<const char> bytes, Wrapping wrapping);
  ~Inflater();
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // Fills `out`. Throws Error(kBadFile) if the stream is damaged or ends before.
  void Read(std::span<char> out);

  // Throws Error(kBadFile) unless the stream ends here, its checksum (gzip) agrees, and nothing follows.
  void Finish();

 private:
  // One call of inflate; returns the number of bytes written to `out`.
  size_t Step(std::span<char> out);

  std::string name_;
  std::span<const char> rest_;
  z_stream stream_{};
  bool ended_ = false;
  uint64_t produced_ = 0;
};

}  // namespace gas

#endif  // GAS_IO_INFLATE_H_
