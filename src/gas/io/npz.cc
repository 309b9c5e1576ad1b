#include "gas/io/npz.h"

#include <charconv>

#include "gas/core/error.h"
#include "gas/io/file.h"
#include "gas/io/layout.h"
#include "gas/io/numpy_dtype.h"
#include "gas/io/zip.h"

namespace gas {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::string_view kSuffix = ".npy";

struct NpyHeader {
  std::optional<torch::ScalarType> type;
  std::optional<bool> fortran_order;
  std::optional<std::vector<int64_t>> shape;
};

// The header is a Python literal: a dictionary of exactly the keys descr, fortran_order and shape. This reads
// that and no other Python.
class HeaderParser {
 public:
  HeaderParser(std::string_view name, std::string_view text) : name_(name), text_(text) {}

  NpyHeader Parse() {
    Expect('{');
    while (!TakeIf('}')) {
      const std::string_view key = TakeString();
      Expect(':');
      ParseValue(key);
      if (!TakeIf(',')) {
        Expect('}');
        break;
      }
    }
    SkipSpace();
    if (at_ != text_.size()) Unexpected("the end");
    Require(header_.type.has_value(), "descr");
    Require(header_.fortran_order.has_value(), "fortran_order");
    Require(header_.shape.has_value(), "shape");
    return header_;
  }

 private:
  void ParseValue(std::string_view key) {
    if (key == "descr") {
      RefuseTwice(header_.type.has_value(), key);
      header_.type = TakeType();
    } else if (key == "fortran_order") {
      RefuseTwice(header_.fortran_order.has_value(), key);
      header_.fortran_order = TakeBool();
    } else if (key == "shape") {
      RefuseTwice(header_.shape.has_value(), key);
      header_.shape = TakeShape();
    } else {
      Fail(Errc::kBadFile, name_, ": the npy header has the unknown key '", key, "'");
    }
  }

  torch::ScalarType TakeType() {
    SkipSpace();
    GAS_CHECK(Peek() != '[', Errc::kBadFile, name_, ": an array of records; only numbers are read");
    const std::string_view text = TakeString();
    GAS_CHECK(!text.ends_with('O'), Errc::kBadFile, name_,
              ": an array of Python objects; only numbers are read");
    const auto type = DtypeOfNumpyDescr(text);
    GAS_CHECK(type, Errc::kBadFile, name_, ": element type '", text, "', must be ", kNumpyDescrsRead);
    return *type;
  }

  bool TakeBool() {
    SkipSpace();
    for (const bool value : {false, true}) {
      const std::string_view word = value ? "True" : "False";
      if (text_.substr(at_).starts_with(word)) {
        at_ += word.size();
        return value;
      }
    }
    Unexpected("True or False");
  }

  std::vector<int64_t> TakeShape() {
    std::vector<int64_t> shape;
    Expect('(');
    while (!TakeIf(')')) {
      GAS_CHECK(shape.size() < kMaxRank, Errc::kBadFile, name_, ": more than ", kMaxRank, " dimensions");
      shape.push_back(TakeNumber());
      if (TakeIf(',')) continue;
      // (3) is a number in Python, (3,) a shape.
      if (shape.size() == 1) Unexpected("','");
      Expect(')');
      break;
    }
    return shape;
  }

  int64_t TakeNumber() {
    SkipSpace();
    int64_t value = 0;
    const char* begin = text_.data() + at_;
    const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), value);
    if (error != std::errc() || value < 0) Unexpected("a number in [0, 2^63)");
    at_ += static_cast<size_t>(end - begin);
    return value;
  }

  std::string_view TakeString() {
    SkipSpace();
    const char quote = Peek();
    if (quote != '\'' && quote != '"') Unexpected("a string");
    const size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) Unexpected("a string that ends");
    const std::string_view content = text_.substr(at_ + 1, end - at_ - 1);
    if (content.find('\\') != std::string_view::npos) Unexpected("a string without escapes");
    at_ = end + 1;
    return content;
  }

  char Peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  void SkipSpace() {
    while (Peek() == ' ' || Peek() == '\n') ++at_;
  }

  bool TakeIf(char c) {
    SkipSpace();
    if (Peek() != c) return false;
    ++at_;
    return true;
  }

  void Expect(char c) {
    if (!TakeIf(c)) Unexpected(std::string("'") + c + "'");
  }

  [[noreturn]] void Unexpected(std::string_view wanted) const {
    Fail(Errc::kBadFile, name_, ": npy header, character ", at_, ": expected ", wanted);
  }
  void Require(bool there, const char* key) const {
    GAS_CHECK(there, Errc::kBadFile, name_, ": the npy header has no ", key);
  }
  void RefuseTwice(bool there, std::string_view key) const {
    GAS_CHECK(!there, Errc::kBadFile, name_, ": the npy header has ", key, " twice");
  }

  std::string_view name_;
  std::string_view text_;
  size_t at_ = 0;
  NpyHeader header_;
};

struct Layout {
  std::string_view header;
  std::span<const char> data;
};

// Magic, version, length of the header: 2 bytes in version 1, 4 in versions 2 and 3.
Layout Split(std::string_view name, std::span<const char> bytes) {
  const std::string_view text(bytes.data(), bytes.size());
  GAS_CHECK(text.starts_with(kMagic), Errc::kBadFile, name, " @0: not an npy array");
  GAS_CHECK(text.size() >= kMagic.size() + 2, Errc::kBadFile, name, " @6: ends before its version");
  const int major = static_cast<unsigned char>(text[6]), minor = static_cast<unsigned char>(text[7]);
  GAS_CHECK(major >= 1 && major <= 3 && minor == 0, Errc::kBadFile, name, " @6: npy version ", major, ".",
            minor, ", must be 1.0, 2.0 or 3.0");
  const size_t length_bytes = major == 1 ? 2 : 4;
  const size_t begin = kMagic.size() + 2 + length_bytes;
  GAS_CHECK(text.size() >= begin, Errc::kBadFile, name, " @8: ends before its header");
  const size_t length =
      major == 1 ? LoadLittleEndian<uint16_t>(text.data() + 8) : LoadLittleEndian<uint32_t>(text.data() + 8);
  GAS_CHECK(length <= text.size() - begin, Errc::kBadFile, name, " @8: header of ", length, " bytes, ",
            text.size() - begin, " left");
  return {.header = text.substr(begin, length), .data = bytes.subspan(begin + length)};
}

// Reverses all dimensions.
Tensor Transpose(const Tensor& tensor) {
  std::vector<int64_t> reversed;
  for (int64_t d = tensor.dim() - 1; d >= 0; --d) reversed.push_back(d);
  return tensor.permute(reversed);
}

}  // namespace

Tensor ParseNpy(std::string_view name, std::span<const char> bytes) {
  const Layout layout = Split(name, bytes);
  const NpyHeader header = HeaderParser(name, layout.header).Parse();
  std::vector<int64_t> shape = *header.shape;
  const auto size = ByteSize(shape, torch::elementSize(*header.type));
  GAS_CHECK(size, Errc::kBadFile, name, ": its shape ", at::IntArrayRef(shape), " overflows");
  GAS_CHECK(*size == layout.data.size(), Errc::kBadFile, name, ": its shape ", at::IntArrayRef(shape),
            " needs ", *size, " bytes, ", layout.data.size(), " follow the header");
  // Column-major bytes are the row-major bytes of the transpose.
  if (*header.fortran_order) std::reverse(shape.begin(), shape.end());
  Tensor tensor = torch::empty(shape, *header.type);
  std::copy(layout.data.begin(), layout.data.end(), static_cast<char*>(tensor.data_ptr()));
  CheckBooleans(tensor, name);
  return *header.fortran_order ? Transpose(tensor).contiguous() : tensor;
}

std::map<std::string, Tensor> ParseNpz(std::string_view name, std::span<const char> bytes) {
  std::map<std::string, Tensor> arrays;
  for (const ZipEntry& entry : ReadZipDirectory(name, bytes)) {
    const std::string where = std::string(name) + ": entry '" + entry.name + "'";
    GAS_CHECK(entry.name.ends_with(kSuffix), Errc::kBadFile, where, " is not an ", kSuffix, " array");
    const std::string key = entry.name.substr(0, entry.name.size() - kSuffix.size());
    if (entry.deflated) {
      arrays.emplace(key, ParseNpy(where, ExtractZipEntry(name, entry)));
    } else {
      CheckZipCrc(name, entry, entry.data);
      arrays.emplace(key, ParseNpy(where, entry.data));
    }
  }
  return arrays;
}

std::map<std::string, Tensor> ReadNpz(const std::filesystem::path& path) {
  return ParseNpz(path.string(), ReadFile(path));
}

}  // namespace gas
