// A tensor where it lies among other bytes of a file: a view of a storage, as PyTorch has it.
#ifndef GAS_IO_STRIDED_TENSOR_H_
#define GAS_IO_STRIDED_TENSOR_H_

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "gas/core/torch.h"
#include "gas/io/mapped_file.h"

namespace gas {

// Element (i, j, ...) is number offset + i strides[0] + j strides[1] + ... of the storage.
struct StridedTensor {
  torch::ScalarType dtype = torch::kFloat32;
  std::vector<int64_t> shape, strides;
  int64_t offset = 0;
  std::span<const char> storage;
};

// Of a tensor without gaps whose last index runs fastest. The product of the shape fits 63 bits.
std::vector<int64_t> RowMajorStrides(std::span<const int64_t> shape);

// Throws Error(kBadFile), with `where` before it, unless every element lies inside the storage. Refuses more
// elements than the storage has too: a small file could otherwise unfold to any size.
void CheckInside(std::string_view where, const StridedTensor& tensor);

// The tensor, contiguous, which CheckInside must have passed. It is a view of `file`, whose pages leave
// memory with it, where its elements lie in the file, in order and aligned; else a copy. Throws
// Error(kBadFile) for booleans other than 0 and 1.
Tensor ContiguousView(std::string_view where, const StridedTensor& tensor,
                      const std::shared_ptr<const MappedFile>& file);

}  // namespace gas

#endif  // GAS_IO_STRIDED_TENSOR_H_
