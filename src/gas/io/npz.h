// NumPy's npy and npz files (numeric arrays only; object arrays are refused, nothing is executed).
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#ifndef GAS_IO_NPZ_H_
#define GAS_IO_NPZ_H_

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "gas/core/torch.h"

namespace gas {

// name without ".npy" -> CPU tensor, row-major. Stored and deflated entries, ZIP64; sizes are those of the
// central directory. Throws Error(kBadFile) naming file and entry.
std::map<std::string, Tensor> ReadNpz(const std::filesystem::path& path);
std::map<std::string, Tensor> ParseNpz(std::string_view name, std::span<const char> bytes);

// One .npy stream.
Tensor ParseNpy(std::string_view name, std::span<const char> bytes);

}  // namespace gas

#endif  // GAS_IO_NPZ_H_
