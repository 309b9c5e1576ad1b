// The tensors of one part of a PyTorch file, by the names that a state dict gives them.
#ifndef GAS_IO_TORCH_TENSORS_H_
#define GAS_IO_TORCH_TENSORS_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gas/io/tensor_file.h"
#include "gas/io/torch_file.h"

namespace gas {

// A file of more names, or of longer ones, is refused.
inline constexpr size_t kMaxTorchTensors = 100'000;
inline constexpr size_t kMaxTorchNameBytes = 1024;

// Names are the keys on the way to a tensor, joined by dots: of dictionaries (texts and integers), the
// indices of lists and tuples, and of modules the rule of torch.nn.Module.state_dict: its `_parameters`,
// those `_buffers` that are persistent, and its `_modules`. Values that are no tensors and hold none have no
// names. Views and shared storages are as in the file.
class TorchTensors : public TensorFile {
 public:
  // `path` as in TorchFile::Find, {"state_dict"} for instance. Throws Error(kBadFile) if it leads nowhere or
  // to nothing that holds tensors, for equal names, for keys of other kinds, and what TorchFile::TensorOf
  // throws.
  explicit TorchTensors(std::shared_ptr<const TorchFile> file, const std::vector<std::string>& path = {});
  Tensor View(const std::string& tensor) const override;

 private:
  std::shared_ptr<const TorchFile> file_;
  std::map<std::string, StridedTensor> places_;
};

}  // namespace gas

#endif  // GAS_IO_TORCH_TENSORS_H_
