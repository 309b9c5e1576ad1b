#include "gas/io/inflate.h"

#include <algorithm>

#include "gas/core/error.h"

namespace gas {
namespace {

// zlib counts in 32 bits.
constexpr size_t kMaxPiece = size_t{1} << 30;
constexpr int kWindowBits = 15;
constexpr int kGzipHeader = 16;

}  // namespace

Inflater::Inflater(std::string_view name, std::span<const char> bytes, Wrapping wrapping)
    : name_(name), rest_(bytes) {
  const int window = wrapping == Wrapping::kRaw ? -kWindowBits : kWindowBits + kGzipHeader;
  GAS_CHECK(inflateInit2(&stream_, window) == Z_OK, Errc::kInternal, name_, ": zlib does not start");
}

Inflater::~Inflater() { inflateEnd(&stream_); }

size_t Inflater::Step(std::span<char> out) {
  const size_t in_size = std::min(rest_.size(), kMaxPiece);
  const size_t out_size = std::min(out.size(), kMaxPiece);
  // zlib's interface predates const; inflate does not write to its input.
  stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(rest_.data()));
  stream_.avail_in = static_cast<uInt>(in_size);
  stream_.next_out = reinterpret_cast<Bytef*>(out.data());
  stream_.avail_out = static_cast<uInt>(out_size);
  const int status = inflate(&stream_, Z_NO_FLUSH);
  const size_t taken = in_size - stream_.avail_in;
  const size_t given = out_size - stream_.avail_out;
  rest_ = rest_.subspan(taken);
  produced_ += given;
  ended_ = status == Z_STREAM_END;
  GAS_CHECK(status == Z_OK || ended_ || status == Z_BUF_ERROR, Errc::kBadFile, name_,
            ": damaged compressed data after ", produced_,
            " bytes: ", stream_.msg != nullptr ? stream_.msg : "no reason given");
  GAS_CHECK(ended_ || taken + given > 0, Errc::kBadFile, name_, ": the compressed data stop after ",
            produced_, " bytes");
  return given;
}

void Inflater::Read(std::span<char> out) {
  while (!out.empty()) {
    GAS_CHECK(!ended_, Errc::kBadFile, name_, ": decompresses to ", produced_, " bytes, ", out.size(),
              " more were declared");
    out = out.subspan(Step(out));
  }
}

void Inflater::Finish() {
  char extra = 0;
  while (!ended_) {
    GAS_CHECK(Step({&extra, 1}) == 0, Errc::kBadFile, name_, ": decompresses to more than the ",
              produced_ - 1, " bytes declared");
  }
  GAS_CHECK(rest_.empty(), Errc::kBadFile, name_, ": ", rest_.size(), " bytes follow the compressed data");
}

}  // namespace gas
