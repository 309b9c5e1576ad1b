#include "gas/io/layout.h"

#include <algorithm>

#include "gas/core/error.h"

namespace gas {

std::optional<uint64_t> ByteSize(std::span<const int64_t> shape, size_t element_size) {
  if (shape.size() > kMaxRank) return std::nullopt;
  bool empty = false;
  auto bytes = static_cast<int64_t>(element_size);
  for (const int64_t n : shape) {
    if (n < 0 || __builtin_mul_overflow(bytes, std::max<int64_t>(n, 1), &bytes)) return std::nullopt;
    empty |= n == 0;
  }
  return empty ? 0 : static_cast<uint64_t>(bytes);
}

bool CanInflateTo(uint64_t compressed_size, uint64_t size) {
  return size / kMaxDeflateRatio <= compressed_size;
}

void CheckBooleans(const Tensor& tensor, std::string_view name) {
  if (tensor.scalar_type() != torch::kBool) return;
  const auto* bytes = static_cast<const unsigned char*>(tensor.data_ptr());
  const auto* end = bytes + tensor.numel();
  const auto* bad = std::find_if(bytes, end, [](unsigned char b) { return b > 1; });
  GAS_CHECK(bad == end, Errc::kBadFile, name, ": boolean ", bad - bytes, " is ", int{*bad},
            ", must be 0 or 1");
}

}  // namespace gas
