// What the readers share: little-endian loads, and the size in bytes of a shape that a file claims.
#ifndef GAS_IO_LAYOUT_H_
#define GAS_IO_LAYOUT_H_

#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

#include "gas/core/torch.h"

namespace gas {

static_assert(std::endian::native == std::endian::little, "tensor bytes are copied between files and memory");

// `from` holds at least sizeof(T) bytes; any alignment.
template <class T>
T LoadLittleEndian(const char* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

// Most dimensions that LibTorch's iterators support.
inline constexpr size_t kMaxRank = 64;

// Bytes of a tensor of this shape; nothing if a dimension is negative, there are more than kMaxRank, or the
// product overflows. A zero does not excuse the other dimensions: LibTorch multiplies them to strides.
std::optional<uint64_t> ByteSize(std::span<const int64_t> shape, size_t element_size);

// A deflate stream expands each byte to at most 1032 (two bits stand for 258 bytes). A file that claims more
// is lying, and is refused before the memory for its claim is allocated.
inline constexpr uint64_t kMaxDeflateRatio = 1032;
bool CanInflateTo(uint64_t compressed_size, uint64_t size);

// Throws Error(kBadFile) if `tensor` is a bool tensor with bytes other than 0 and 1, which C++ may not read
// as bool.
void CheckBooleans(const Tensor& tensor, std::string_view name);

}  // namespace gas

#endif  // GAS_IO_LAYOUT_H_
