#include "gas/io/idx.h"

#include "gas/core/error.h"
#include "gas/io/file.h"
#include "gas/io/inflate.h"
#include "gas/io/layout.h"

namespace gas {
namespace {

constexpr size_t kMagicBytes = 4;

std::optional<torch::ScalarType> TypeOfCode(unsigned char code) {
  switch (code) {
    case 0x08: return torch::kUInt8;
    case 0x09: return torch::kInt8;
    case 0x0B: return torch::kInt16;
    case 0x0C: return torch::kInt32;
    case 0x0D: return torch::kFloat32;
    case 0x0E: return torch::kFloat64;
    default: return std::nullopt;
  }
}

struct IdxHeader {
  torch::ScalarType type;
  std::vector<int64_t> shape;
  uint64_t bytes;  // of the data
};

// `read` fills its argument with the next bytes of the (decompressed) file or throws.
IdxHeader ReadHeader(std::string_view name, const std::function<void(std::span<char>)>& read) {
  unsigned char magic[kMagicBytes];
  read({reinterpret_cast<char*>(magic), kMagicBytes});
  GAS_CHECK(magic[0] == 0 && magic[1] == 0, Errc::kBadFile, name,
            " @0: an idx file begins with two zero bytes, not ", int{magic[0]}, " ", int{magic[1]});
  const auto type = TypeOfCode(magic[2]);
  GAS_CHECK(type, Errc::kBadFile, name, " @2: unknown element type ", int{magic[2]});
  const size_t rank = magic[3];
  GAS_CHECK(rank <= kMaxRank, Errc::kBadFile, name, " @3: ", rank, " dimensions, at most ", kMaxRank);
  IdxHeader header{.type = *type, .shape = std::vector<int64_t>(rank), .bytes = 0};
  for (int64_t& n : header.shape) {
    uint32_t big_endian = 0;
    read({reinterpret_cast<char*>(&big_endian), sizeof big_endian});
    n = __builtin_bswap32(big_endian);
  }
  const auto bytes = ByteSize(header.shape, torch::elementSize(header.type));
  GAS_CHECK(bytes, Errc::kBadFile, name, ": its shape ", at::IntArrayRef(header.shape), " overflows");
  header.bytes = *bytes;
  return header;
}

void ReverseEachElement(std::span<char> bytes, size_t element_size) {
  if (element_size == 1) return;
  for (size_t i = 0; i < bytes.size(); i += element_size) {
    std::reverse(bytes.begin() + static_cast<ptrdiff_t>(i),
                 bytes.begin() + static_cast<ptrdiff_t>(i + element_size));
  }
}

Tensor ReadData(const IdxHeader& header, const std::function<void(std::span<char>)>& read) {
  Tensor tensor = torch::empty(header.shape, header.type);
  const std::span<char> data(static_cast<char*>(tensor.data_ptr()), header.bytes);
  if (!data.empty()) read(data);
  ReverseEachElement(data, tensor.element_size());
  return tensor;
}

Tensor ParseCompressed(std::string_view name, std::span<const char> bytes) {
  Inflater stream(name, bytes, Inflater::Wrapping::kGzip);
  const auto read = [&stream](std::span<char> to) { stream.Read(to); };
  const IdxHeader header = ReadHeader(name, read);
  GAS_CHECK(CanInflateTo(bytes.size(), header.bytes), Errc::kBadFile, name, ": claims ", header.bytes,
            " bytes, which ", bytes.size(), " compressed bytes cannot hold");
  Tensor tensor = ReadData(header, read);
  stream.Finish();
  return tensor;
}

Tensor ParsePlain(std::string_view name, std::span<const char> bytes) {
  std::span<const char> rest = bytes;
  const auto read = [&](std::span<char> to) {
    GAS_CHECK(to.size() <= rest.size(), Errc::kBadFile, name, " @", bytes.size() - rest.size(), ": needs ",
              to.size(), " bytes, ", rest.size(), " left");
    std::copy_n(rest.begin(), to.size(), to.begin());
    rest = rest.subspan(to.size());
  };
  const IdxHeader header = ReadHeader(name, read);
  GAS_CHECK(header.bytes == rest.size(), Errc::kBadFile, name, ": its shape ", at::IntArrayRef(header.shape),
            " needs ", header.bytes, " bytes, ", rest.size(), " left");
  return ReadData(header, read);
}

}  // namespace

Tensor ParseIdx(std::string_view name, std::span<const char> bytes) {
  const bool gzip = bytes.size() >= 2 && bytes[0] == '\x1f' && bytes[1] == '\x8b';
  return gzip ? ParseCompressed(name, bytes) : ParsePlain(name, bytes);
}

Tensor ReadIdx(const std::filesystem::path& path) { return ParseIdx(path.string(), ReadFile(path)); }

}  // namespace gas
