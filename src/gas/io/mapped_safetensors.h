// A safetensors file whose tensors are looked at where they lie.
#ifndef GAS_IO_MAPPED_SAFETENSORS_H_
#define GAS_IO_MAPPED_SAFETENSORS_H_

#include <filesystem>
#include <memory>
#include <string>

#include "gas/io/mapped_file.h"
#include "gas/io/safetensors_header.h"
#include "gas/io/tensor_file.h"

namespace gas {

class MappedSafetensors : public TensorFile {
 public:
  // Reads the header alone. Throws what ReadSafetensors throws.
  explicit MappedSafetensors(const std::filesystem::path& path);
  // Shares the mapping, which lives as long as the tensor; its pages leave memory with it.
  Tensor View(const std::string& tensor) const override;

 private:
  std::shared_ptr<const MappedFile> file_;
  std::map<std::string, std::span<const char>> bytes_;  // of each tensor
};

}  // namespace gas

#endif  // GAS_IO_MAPPED_SAFETENSORS_H_
