// The idx format of the MNIST family (http://yann.lecun.com/exdb/mnist), plain or gzip-compressed.
#ifndef GAS_IO_IDX_H_
#define GAS_IO_IDX_H_

#include <filesystem>
#include <span>
#include <string_view>

#include "gas/core/torch.h"

namespace gas {

// Returns a CPU tensor of the file's shape and element type (uint8, int8, int16, int32, float32, float64).
// Throws Error(kBadFile) naming the file; a decompressed size that differs from the header's is an error, and
// no more than the header's size is ever decompressed.
Tensor ReadIdx(const std::filesystem::path& path);
Tensor ParseIdx(std::string_view name, std::span<const char> bytes);

}  // namespace gas

#endif  // GAS_IO_IDX_H_
