#include "gas/io/tensor_shapes.h"

#include <algorithm>
#include <limits>

#include "gas/core/error.h"

namespace gas {

bool TensorShapes::HasBelow(const std::string& below) const {
  const auto found = file_.tensors().lower_bound(prefix_ + below);
  return found != file_.tensors().end() && found->first.starts_with(prefix_ + below);
}

const std::vector<int64_t>& TensorShapes::OfAtLeast(const std::string& tensor, size_t dims) const {
  return Of(tensor, dims, std::numeric_limits<size_t>::max());
}

const std::vector<int64_t>& TensorShapes::OfMatrix(const std::string& tensor) const {
  return Of(tensor, 2, 2);
}

const std::vector<int64_t>& TensorShapes::Of(const std::string& tensor, size_t least, size_t most) const {
  const std::string name = prefix_ + tensor;
  const auto found = file_.tensors().find(name);
  GAS_CHECK(found != file_.tensors().end(), Errc::kBadFile, file_.name(), ": tensor ", name, " is missing");
  const std::vector<int64_t>& shape = found->second.shape;
  const bool empty = std::ranges::any_of(shape, [](int64_t size) { return size <= 0; });
  GAS_CHECK(shape.size() >= least && shape.size() <= most && !empty, Errc::kBadFile, file_.name(),
            ": tensor ", name, " has shape ", at::IntArrayRef(shape), ", must have ", least, " dimensions",
            most > least ? " or more" : "", ", none empty");
  return shape;
}

}  // namespace gas
