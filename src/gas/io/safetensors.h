// The safetensors format: named tensors and string metadata, nothing executable.
// https://github.com/huggingface/safetensors#format
#ifndef GAS_IO_SAFETENSORS_H_
#define GAS_IO_SAFETENSORS_H_

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "gas/core/torch.h"

namespace gas {

struct Safetensors {
  std::map<std::string, Tensor> tensors;  // CPU, contiguous, dtype of the file
  std::map<std::string, std::string> metadata;

  // Throws Error(kBadFile) naming the file and the tensor.
  const Tensor& at(const std::string& name) const;
  std::string name = "safetensors";  // for messages: the file's path
};

// Throws Error(kBadFile), naming file and offset or tensor, for anything the format does not allow: a header
// that is longer than the file or is not JSON, unknown dtypes, negative or overflowing shapes, ranges that
// overlap, leave gaps or end beyond the file.
Safetensors ReadSafetensors(const std::filesystem::path& path);
Safetensors ParseSafetensors(std::string_view name, std::span<const char> bytes);

// Atomic (io/file.h). Tensors are written in the order that keeps every one aligned to its element size.
void WriteSafetensors(const std::filesystem::path& path, const std::map<std::string, Tensor>& tensors,
                      const std::map<std::string, std::string>& metadata = {});

}  // namespace gas

#endif  // GAS_IO_SAFETENSORS_H_
