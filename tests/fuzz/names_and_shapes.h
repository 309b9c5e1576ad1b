// A file of tensors of which there are names and shapes alone, as its header has them.
#ifndef GAS_TESTS_FUZZ_NAMES_AND_SHAPES_H_
#define GAS_TESTS_FUZZ_NAMES_AND_SHAPES_H_

#include <cstdint>

#include "gas/io/json.h"
#include "gas/io/tensor_file.h"

namespace gas::testing {

class NamesAndShapes : public TensorFile {
 public:
  // {NAME: SHAPE, ...}. Throws Error(kBadFile) for sizes that are no whole numbers from 0 on.
  explicit NamesAndShapes(const nlohmann::json& shapes) {
    name_ = "names";
    for (const auto& [name, shape] : shapes.items()) {
      TensorInfo info{torch::kFloat32, {}};
      for (const auto& size : shape) info.shape.push_back(WholeNumber(name, size, 0, INT64_MAX));
      tensors_[name] = std::move(info);
    }
  }
  Tensor View(const std::string&) const override { return {}; }
};

}  // namespace gas::testing

#endif  // GAS_TESTS_FUZZ_NAMES_AND_SHAPES_H_
