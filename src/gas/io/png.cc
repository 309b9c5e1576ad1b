#include "gas/io/png.h"

#include <png.h>

#include <csetjmp>
#include <cstring>

#include "gas/core/error.h"
#include "gas/io/file.h"
#include "gas/io/layout.h"

// libpng reports errors by longjmp. Each function with a setjmp below therefore has nothing to destroy
// between the setjmp and the calls, and returns false; its caller throws.

namespace gas {
namespace {

constexpr int64_t kMaxSide = int64_t{1} << 15;
constexpr size_t kSignatureBytes = 8;
constexpr size_t kMaxKeyword = 79;  // by the PNG specification
// For ancillary chunks (profiles, texts), none of which we use.
constexpr png_alloc_size_t kMaxChunkBytes = 8 << 20;

struct Message {
  char text[128] = "unknown error";
};

[[noreturn]] void OnError(png_structp png, png_const_charp what) {
  auto* message = static_cast<Message*>(png_get_error_ptr(png));
  std::strncpy(message->text, what, sizeof message->text - 1);
  png_longjmp(png, 1);
}

void OnWarning(png_structp, png_const_charp) {}

// ---- reading

struct Source {
  std::span<const char> rest;
};

void OnRead(png_structp png, png_bytep to, size_t n) {
  auto* source = static_cast<Source*>(png_get_io_ptr(png));
  if (n > source->rest.size()) png_error(png, "the file ends early");
  std::memcpy(to, source->rest.data(), n);
  source->rest = source->rest.subspan(n);
}

class Reader {
 public:
  explicit Reader(std::span<const char> bytes) : source_{bytes} {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, &message_, OnError, OnWarning);
    GAS_CHECK(png_ != nullptr, Errc::kInternal, "libpng does not start");
    info_ = png_create_info_struct(png_);
    png_set_read_fn(png_, &source_, OnRead);
  }
  ~Reader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  // Reads up to the pixels and asks for 8-bit grey or RGB, with the alpha that there is or without.
  bool ReadHeader(bool with_alpha) {
    if (info_ == nullptr || setjmp(png_jmpbuf(png_)) != 0) return false;
    // Sides are checked by us, with their values in the message; libpng allocates nothing for rows before.
    png_set_user_limits(png_, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_chunk_malloc_max(png_, kMaxChunkBytes);
    png_read_info(png_, info_);
    png_set_palette_to_rgb(png_);
    png_set_expand_gray_1_2_4_to_8(png_);
    png_set_scale_16(png_);
    if (!with_alpha) {
      png_set_strip_alpha(png_);
    } else if (png_get_valid(png_, info_, PNG_INFO_tRNS) != 0) {
      png_set_tRNS_to_alpha(png_);
    }
    return true;
  }

  // Applies what ReadHeader asked for; from here on channels() and row_bytes() are those of the result.
  bool Start() {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    return true;
  }

  bool ReadPixels(png_bytepp rows) {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_read_image(png_, rows);
    png_read_end(png_, nullptr);
    return true;
  }

  int64_t width() const { return png_get_image_width(png_, info_); }
  int64_t height() const { return png_get_image_height(png_, info_); }
  int64_t channels() const { return png_get_channels(png_, info_); }
  size_t row_bytes() const { return png_get_rowbytes(png_, info_); }
  const char* message() const { return message_.text; }

 private:
  Message message_;
  Source source_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
};

// ---- writing

struct Sink {
  Bytes bytes;
};

void OnWrite(png_structp png, png_bytep from, size_t n) {
  auto* sink = static_cast<Sink*>(png_get_io_ptr(png));
  bool ok = true;
  try {
    sink->bytes.insert(sink->bytes.end(), from, from + n);
  } catch (const std::bad_alloc&) {  // must not cross libpng, nor may a longjmp leave the handler
    ok = false;
  }
  if (!ok) png_error(png, "out of memory");
}

void OnFlush(png_structp) {}

class Writer {
 public:
  Writer() {
    png_ = png_create_write_struct(PNG_LIBPNG_VER_STRING, &message_, OnError, OnWarning);
    GAS_CHECK(png_ != nullptr, Errc::kInternal, "libpng does not start");
    info_ = png_create_info_struct(png_);
    png_set_write_fn(png_, &sink_, OnWrite, OnFlush);
  }
  ~Writer() { png_destroy_write_struct(&png_, &info_); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  bool Write(png_uint_32 width, png_uint_32 height, int color_type, std::span<png_text> texts,
             png_bytepp rows) {
    if (info_ == nullptr || setjmp(png_jmpbuf(png_)) != 0) return false;
    png_set_IHDR(png_, info_, width, height, 8, color_type, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_set_text(png_, info_, texts.data(), static_cast<int>(texts.size()));
    png_write_info(png_, info_);
    png_write_image(png_, rows);
    png_write_end(png_, info_);
    return true;
  }

  const Bytes& bytes() const { return sink_.bytes; }
  const char* message() const { return message_.text; }

 private:
  Message message_;
  Sink sink_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
};

// pixels [H,W,C] uint8, contiguous
std::vector<png_bytep> RowPointers(const Tensor& pixels) {
  std::vector<png_bytep> rows(static_cast<size_t>(pixels.size(0)));
  auto* first = pixels.data_ptr<uint8_t>();
  for (size_t y = 0; y < rows.size(); ++y) rows[y] = first + static_cast<int64_t>(y) * pixels.stride(0);
  return rows;
}

// [colours + alpha,H,W] uint8 -> [colours,H,W]: colour * alpha + white * (1 - alpha), rounded to nearest.
Tensor OnWhite(const Tensor& image) {
  const Tensor wide = image.to(torch::kInt32);
  const int64_t colours = image.size(0) - 1;
  const Tensor alpha = wide.slice(0, colours);
  const Tensor sum = wide.slice(0, 0, colours) * alpha + 255 * (255 - alpha);
  return torch::div(sum + 127, 255, "floor").to(torch::kUInt8);
}

std::vector<png_text> TextChunks(const std::string& file, const std::map<std::string, std::string>& text) {
  std::vector<png_text> chunks;
  for (const auto& [key, value] : text) {
    GAS_CHECK(!key.empty() && key.size() <= kMaxKeyword, Errc::kBadOption, file, ": text keyword '", key,
              "' has ", key.size(), " characters, must be in [1, ", kMaxKeyword, "]");
    GAS_CHECK(key.find('\0') == key.npos && value.find('\0') == value.npos, Errc::kBadOption, file,
              ": text '", key, "' has a zero byte, which a PNG cannot hold");
    png_text chunk{};
    chunk.compression = PNG_TEXT_COMPRESSION_NONE;
    // libpng only reads both, though its interface is not const.
    chunk.key = const_cast<char*>(key.c_str());
    chunk.text = const_cast<char*>(value.c_str());
    chunk.text_length = value.size();
    chunks.push_back(chunk);
  }
  return chunks;
}

}  // namespace

void WritePng(const std::filesystem::path& path, const Tensor& image,
              const std::map<std::string, std::string>& text) {
  const std::string name = path.string();
  GAS_CHECK(
      image.dim() == 3 && (image.size(0) == 1 || image.size(0) == 3) && image.scalar_type() == torch::kUInt8,
      Errc::kInternal, name, ": a PNG is made from a [1 or 3,H,W] uint8 tensor, not from ", image.sizes(),
      " ", c10::toString(image.scalar_type()));
  for (const int64_t side : image.sizes().slice(1)) {
    GAS_CHECK(side >= 1 && side <= kMaxSide, Errc::kBadOption, name, ": a side of ", side,
              " pixels, must be in [1, ", kMaxSide, "]");
  }
  const Tensor pixels = image.to(torch::kCPU).permute({1, 2, 0}).contiguous();
  std::vector<png_bytep> rows = RowPointers(pixels);
  std::vector<png_text> texts = TextChunks(name, text);
  Writer writer;
  const bool ok =
      writer.Write(static_cast<png_uint_32>(pixels.size(1)), static_cast<png_uint_32>(pixels.size(0)),
                   pixels.size(2) == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, texts, rows.data());
  GAS_CHECK(ok, Errc::kInternal, name, ": ", writer.message());
  WriteFile(path, std::span<const char>(writer.bytes()));
}

Tensor ParsePng(std::string_view name, std::span<const char> bytes, Alpha alpha) {
  const bool is_png = bytes.size() >= kSignatureBytes &&
                      png_sig_cmp(reinterpret_cast<png_const_bytep>(bytes.data()), 0, kSignatureBytes) == 0;
  GAS_CHECK(is_png, Errc::kBadFile, name, " @0: not a PNG file");
  Reader reader(bytes);
  GAS_CHECK(reader.ReadHeader(alpha == Alpha::kOnWhite), Errc::kBadFile, name, ": ", reader.message());
  const int64_t height = reader.height(), width = reader.width();
  GAS_CHECK(height <= kMaxSide && width <= kMaxSide, Errc::kBadFile, name, ": ", width, " x ", height,
            " pixels, at most ", kMaxSide, " on a side");
  // Of the file's own rows, before palettes are expanded.
  const uint64_t packed = static_cast<uint64_t>(height) * reader.row_bytes();
  GAS_CHECK(CanInflateTo(bytes.size(), packed), Errc::kBadFile, name, ": claims ", packed,
            " bytes of pixels, which ", bytes.size(), " compressed bytes cannot hold");
  GAS_CHECK(reader.Start(), Errc::kBadFile, name, ": ", reader.message());
  const int64_t channels = reader.channels();
  const bool expected = channels == 1 || channels == 3 || (alpha == Alpha::kOnWhite && channels <= 4);
  GAS_CHECK(expected && reader.row_bytes() == static_cast<size_t>(width * channels), Errc::kInternal, name,
            ": libpng gives ", channels, " channels, ", reader.row_bytes(), " bytes in a row");
  const Tensor pixels = torch::empty({height, width, channels}, torch::kUInt8);
  std::vector<png_bytep> rows = RowPointers(pixels);
  GAS_CHECK(reader.ReadPixels(rows.data()), Errc::kBadFile, name, ": ", reader.message());
  const Tensor image = pixels.permute({2, 0, 1}).contiguous();
  return channels % 2 == 0 ? OnWhite(image) : image;
}

Tensor ReadPng(const std::filesystem::path& path, Alpha alpha) {
  return ParsePng(path.string(), ReadFile(path), alpha);
}

Tensor ToBytes(const Tensor& images) {
  const Tensor x = images.detach().to(torch::kFloat32);
  GAS_CHECK(!x.isnan().any().item<bool>(), Errc::kNumeric, "an image has a pixel that is not a number");
  // round-half-up of (x + 1) * 127.5 in the very arithmetic of the EDM program: its images compare byte for
  // byte.
  return (x * 127.5 + 128).clamp(0, 255).to(torch::kUInt8);
}

}  // namespace gas
