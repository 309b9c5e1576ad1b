#include "gas/io/strided_tensor.h"

#include <algorithm>
#include <cstdint>
#include <functional>

#include <ATen/ops/from_blob.h>

#include "gas/core/error.h"
#include "gas/io/layout.h"

namespace gas {
namespace {

bool IsPartOf(std::span<const char> part, std::span<const char> whole) {
  const std::less_equal<const char*> not_after;
  return not_after(whole.data(), part.data()) &&
         not_after(part.data() + part.size(), whole.data() + whole.size());
}

// The number of the last element in the storage; nothing if it overflows. No dimension is 0.
std::optional<int64_t> LastElement(const StridedTensor& tensor) {
  int64_t last = tensor.offset;
  for (size_t d = 0; d < tensor.shape.size(); ++d) {
    int64_t way = 0;
    if (__builtin_mul_overflow(tensor.shape[d] - 1, tensor.strides[d], &way)) return std::nullopt;
    if (__builtin_add_overflow(last, way, &last)) return std::nullopt;
  }
  return last;
}

}  // namespace

std::vector<int64_t> RowMajorStrides(std::span<const int64_t> shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t d = shape.size(); d-- > 1;) strides[d - 1] = strides[d] * std::max<int64_t>(shape[d], 1);
  return strides;
}

void CheckInside(std::string_view where, const StridedTensor& tensor) {
  const at::IntArrayRef shape(tensor.shape), strides(tensor.strides);
  const size_t element = torch::elementSize(tensor.dtype);
  const auto stored = static_cast<int64_t>(tensor.storage.size() / element);
  const auto bytes = ByteSize(tensor.shape, element);
  GAS_CHECK(bytes, Errc::kBadFile, where, ": its shape ", shape, " overflows");
  GAS_CHECK(shape.size() == strides.size(), Errc::kBadFile, where, ": ", shape.size(), " dimensions but ",
            strides.size(), " strides");
  GAS_CHECK(std::all_of(strides.begin(), strides.end(), [](int64_t s) { return s >= 0; }), Errc::kBadFile,
            where, ": a negative stride among ", strides);
  const int64_t offset = tensor.offset;
  GAS_CHECK(offset >= 0 && offset <= stored, Errc::kBadFile, where, ": begins at element ", offset,
            " of a storage of ", stored);
  if (*bytes == 0) return;
  GAS_CHECK(*bytes <= tensor.storage.size(), Errc::kBadFile, where, ": ", *bytes / element,
            " elements of a storage of ", stored);
  const auto last = LastElement(tensor);
  GAS_CHECK(last && *last < stored, Errc::kBadFile, where, ": shape ", shape, " with strides ", strides,
            " from element ", offset, " does not end within a storage of ", stored);
}

Tensor ContiguousView(std::string_view where, const StridedTensor& tensor,
                      const std::shared_ptr<const MappedFile>& file) {
  if (c10::multiply_integers(tensor.shape) == 0) return torch::empty(tensor.shape, tensor.dtype);
  const auto element = static_cast<int64_t>(torch::elementSize(tensor.dtype));
  const int64_t count = *LastElement(tensor) - tensor.offset + 1;
  const std::span<const char> bytes = tensor.storage.subspan(static_cast<size_t>(tensor.offset * element),
                                                             static_cast<size_t>(count * element));
  Tensor flat;  // the storage from the first element to the last
  // Not every file has its numbers at multiples of their size, nor all of them as they are.
  if (IsPartOf(bytes, file->bytes()) && reinterpret_cast<uintptr_t>(bytes.data()) % element == 0) {
    const auto forget = [file, bytes](void*) { file->Forget(bytes); };
    flat = at::from_blob(const_cast<char*>(bytes.data()), {count}, forget, tensor.dtype);
  } else {
    flat = torch::empty({count}, tensor.dtype);
    std::copy(bytes.begin(), bytes.end(), static_cast<char*>(flat.data_ptr()));
  }
  CheckBooleans(flat, where);
  return flat.as_strided(tensor.shape, tensor.strides).contiguous();
}

}  // namespace gas
