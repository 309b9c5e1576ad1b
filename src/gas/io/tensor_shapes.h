// What a part of a file of tensors says of sizes, before any is read.
#ifndef GAS_IO_TENSOR_SHAPES_H_
#define GAS_IO_TENSOR_SHAPES_H_

#include <string>
#include <vector>

#include "gas/io/tensor_file.h"

namespace gas {

// Of the tensors whose names begin with a prefix, by what follows it. The file outlives this.
class TensorShapes {
 public:
  TensorShapes(const TensorFile& file, std::string prefix) : file_(file), prefix_(std::move(prefix)) {}

  bool Has(const std::string& tensor) const { return file_.tensors().contains(prefix_ + tensor); }
  // Whether any name begins with `below`.
  bool HasBelow(const std::string& below) const;

  // Throw Error(kBadFile) for a tensor that is missing, has another number of dimensions, or an empty one.
  const std::vector<int64_t>& OfAtLeast(const std::string& tensor, size_t dims) const;
  const std::vector<int64_t>& OfMatrix(const std::string& tensor) const;

 private:
  const std::vector<int64_t>& Of(const std::string& tensor, size_t least, size_t most) const;

  const TensorFile& file_;
  std::string prefix_;
};

}  // namespace gas

#endif  // GAS_IO_TENSOR_SHAPES_H_
