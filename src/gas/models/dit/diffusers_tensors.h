// A transformer that diffusers converted, by the names of the original.
#ifndef GAS_MODELS_DIT_DIFFUSERS_TENSORS_H_
#define GAS_MODELS_DIT_DIFFUSERS_TENSORS_H_

#include <map>
#include <string>
#include <vector>

#include "gas/io/tensor_file.h"

namespace gas::dit {

// The tensors of a DiTTransformer2DModel under the names of facebookresearch/DiT: queries, keys and values,
// which are three matrices there, are one here, and the embeddings of time and label, of which every block
// has an equal copy there, are those of the first block. Tensors of other names keep them. pos_embed, which
// no such file has, is the fixed table for states of side `input_size`.
class DiffusersTensors : public TensorFile {
 public:
  DiffusersTensors(std::shared_ptr<const TensorFile> file, int64_t input_size);
  Tensor View(const std::string& tensor) const override;

 private:
  void Add(const std::string& name, std::vector<std::string> in_file);
  void AddPositions(int64_t input_size);

  std::shared_ptr<const TensorFile> file_;
  std::map<std::string, std::vector<std::string>> places_;  // joined along their rows
  Tensor positions_;
};

}  // namespace gas::dit

#endif  // GAS_MODELS_DIT_DIFFUSERS_TENSORS_H_
