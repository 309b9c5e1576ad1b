// Named tensors in a file that are read one at a time.
#ifndef GAS_IO_TENSOR_FILE_H_
#define GAS_IO_TENSOR_FILE_H_

#include <map>
#include <string>
#include <vector>

#include "gas/core/torch.h"

namespace gas {

// What a file says of a tensor before it is read. Checked against the file's size.
struct TensorInfo {
  torch::ScalarType dtype;
  std::vector<int64_t> shape;
};

class TensorFile {
 public:
  virtual ~TensorFile() = default;

  const std::string& name() const { return name_; }  // for messages: the file's path
  const std::map<std::string, TensorInfo>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

  // The tensor, contiguous, on the CPU, in the file's dtype; not to be written to. It may be a view of the
  // file, whose memory goes when the view goes, so take one, copy it, drop it. Throws Error(kBadFile) for an
  // unknown name and for contents that the dtype cannot have.
  virtual Tensor View(const std::string& tensor) const = 0;

 protected:
  std::string name_;
  std::map<std::string, TensorInfo> tensors_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace gas

#endif  // GAS_IO_TENSOR_FILE_H_
