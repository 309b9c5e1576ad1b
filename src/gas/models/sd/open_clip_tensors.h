// The text tower of open_clip by the names of Hugging Face's CLIP.
#ifndef GAS_MODELS_SD_OPEN_CLIP_TENSORS_H_
#define GAS_MODELS_SD_OPEN_CLIP_TENSORS_H_

#include <map>
#include <memory>
#include <string>

#include "gas/io/tensor_file.h"

namespace gas::sd {

// The tensors of `file` that begin with `prefix`. Queries, keys and values, which lie in one matrix there,
// are three here, and the projection is transposed. Tensors of other names keep them. `file` must outlive
// this.
class OpenClipTensors : public TensorFile {
 public:
  OpenClipTensors(const TensorFile& file, const std::string& prefix);
  Tensor View(const std::string& tensor) const override;

 private:
  // Of one tensor: the file's, of which `part` of `parts` equal parts of the rows is it.
  struct Place {
    std::string in_file;
    int64_t part = 0, parts = 1;
    bool transposed = false;
  };
  void Add(const std::string& name, const Place& place);

  const TensorFile& file_;
  std::map<std::string, Place> places_;
};

}  // namespace gas::sd

#endif  // GAS_MODELS_SD_OPEN_CLIP_TENSORS_H_
