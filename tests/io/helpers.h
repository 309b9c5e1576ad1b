// Hostile and valid files, built byte by byte.
#ifndef GAS_TESTS_IO_HELPERS_H_
#define GAS_TESTS_IO_HELPERS_H_

#include <sys/resource.h>
#include <unistd.h>
#include <zlib.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace gas::testing {

// Appends little-endian integers and text.
class Builder {
 public:
  template <class T>
  Builder& Put(T value) {
    text_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  Builder& U8(uint8_t v) { return Put(v); }
  Builder& U16(uint16_t v) { return Put(v); }
  Builder& U32(uint32_t v) { return Put(v); }
  Builder& U64(uint64_t v) { return Put(v); }
  Builder& F32(float v) { return Put(v); }
  Builder& BigU32(uint32_t v) { return Put(__builtin_bswap32(v)); }
  Builder& Text(std::string_view text) {
    text_ += text;
    return *this;
  }
  Builder& Zeros(size_t n) {
    text_.append(n, '\0');
    return *this;
  }

  const std::string& str() const { return text_; }
  size_t size() const { return text_.size(); }
  operator std::span<const char>() const { return text_; }  // NOLINT: readers take spans

 private:
  std::string text_;
};

// zlib's window bits: what wraps the stream.
enum class Wrap { kRaw = -15, kZlib = 15, kGzip = 31 };

inline std::string Deflate(std::string_view content, Wrap wrap) {
  z_stream stream{};
  deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, static_cast<int>(wrap), 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, content.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

inline uint32_t Crc32(std::string_view content) {
  return static_cast<uint32_t>(crc32_z(0, reinterpret_cast<const Bytef*>(content.data()), content.size()));
}

// ---- PNG

inline std::string PngChunk(std::string_view type, std::string_view data) {
  const std::string body = std::string(type) + std::string(data);
  return Builder().BigU32(static_cast<uint32_t>(data.size())).Text(body).BigU32(Crc32(body)).str();
}

struct PngHeader {
  uint32_t width = 1, height = 1;
  uint8_t depth = 8, color = 0, interlace = 0;
};

inline constexpr std::string_view kPngSignature = "\x89PNG\r\n\x1a\n";

// `rows` are the filter bytes and pixels; `before` are chunks between header and pixels.
inline std::string Png(const PngHeader& h, std::string_view rows, std::string_view before = "") {
  const Builder header =
      Builder().BigU32(h.width).BigU32(h.height).U8(h.depth).U8(h.color).U8(0).U8(0).U8(h.interlace);
  return std::string(kPngSignature) + PngChunk("IHDR", header.str()) + std::string(before) +
         PngChunk("IDAT", Deflate(rows, Wrap::kZlib)) + PngChunk("IEND", "");
}

// Makes every chunk's checksum right again, so that a mutation reaches the code behind the check.
inline void RepairPngChecksums(std::string& png) {
  for (size_t at = kPngSignature.size(); at + 12 <= png.size();) {
    uint32_t length = 0;
    std::memcpy(&length, png.data() + at, sizeof length);
    length = __builtin_bswap32(length);
    if (length > png.size() - at - 12) return;
    const uint32_t crc = __builtin_bswap32(Crc32(std::string_view(png).substr(at + 4, length + 4)));
    std::memcpy(png.data() + at + 8 + length, &crc, sizeof crc);
    at += 12 + length;
  }
}

// ---- npy and zip

inline std::string Npy(std::string_view header, std::string_view data) {
  const auto length = static_cast<uint16_t>(header.size());
  return Builder().Text("\x93NUMPY\x01").U8(0).U16(length).Text(header).Text(data).str();
}

inline std::string NpyHeader(std::string_view descr, std::string_view shape, bool fortran_order = false) {
  return "{'descr': '" + std::string(descr) + "', 'fortran_order': " + (fortran_order ? "True" : "False") +
         ", 'shape': " + std::string(shape) + ", }\n";
}

struct ZipPart {
  std::string name;
  std::string content;
  bool deflated = false;
  bool zip64 = false;  // sizes and offset in the directory's extra field
};

// An archive whose fields a test may then damage.
inline std::string Zip(const std::vector<ZipPart>& parts) {
  Builder archive, directory;
  for (const ZipPart& part : parts) {
    const std::string data = part.deflated ? Deflate(part.content, Wrap::kRaw) : part.content;
    const auto size = static_cast<uint32_t>(part.content.size()), packed = static_cast<uint32_t>(data.size());
    const auto offset = static_cast<uint32_t>(archive.size()), crc = Crc32(part.content);
    const auto name_size = static_cast<uint16_t>(part.name.size());
    const uint16_t method = part.deflated ? 8 : 0;
    archive.U32(0x04034b50)
        .U16(20)
        .U16(0)
        .U16(method)
        .U32(0)
        .U32(crc)
        .U32(packed)
        .U32(size)
        .U16(name_size)
        .U16(0);
    archive.Text(part.name).Text(data);
    directory.U32(0x02014b50).U16(20).U16(20).U16(0).U16(method).U32(0).U32(crc);
    const uint32_t elsewhere = 0xFFFFFFFF;
    directory.U32(part.zip64 ? elsewhere : packed).U32(part.zip64 ? elsewhere : size).U16(name_size);
    directory.U16(part.zip64 ? 4 + 24 : 0).U16(0).U16(0).U16(0).U32(0);
    directory.U32(part.zip64 ? elsewhere : offset).Text(part.name);
    if (part.zip64) directory.U16(1).U16(24).U64(size).U64(packed).U64(offset);
  }
  const auto count = static_cast<uint16_t>(parts.size());
  const auto begin = static_cast<uint32_t>(archive.size()), size = static_cast<uint32_t>(directory.size());
  archive.Text(directory.str());
  return archive.U32(0x06054b50).U16(0).U16(0).U16(count).U16(count).U32(size).U32(begin).U16(0).str();
}

// ---- safetensors

inline std::string SafetensorsFile(std::string_view header, std::string_view data = "") {
  return Builder().U64(header.size()).Text(header).Text(data).str();
}

// ---- folders

class TempDir {
 public:
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "gas-test-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// Lets no file of this process grow past `bytes`: to WriteFile it looks like a full disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit before_{};
  void (*handler_)(int);
};

}  // namespace gas::testing

#endif  // GAS_TESTS_IO_HELPERS_H_
