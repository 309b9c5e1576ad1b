#include "gas/io/mapped_safetensors.h"

#include <algorithm>

#include "gas/core/error.h"
#include "gas/io/strided_tensor.h"

namespace gas {

MappedSafetensors::MappedSafetensors(const std::filesystem::path& path)
    : file_(std::make_shared<MappedFile>(path)) {
  name_ = path.string();
  const std::span<const char> all = file_->bytes();
  SafetensorsHeader header = ReadSafetensorsHeader(
      name_, all.size(),
      [&](uint64_t offset, std::span<char> to) { std::copy_n(all.data() + offset, to.size(), to.data()); });
  metadata_ = std::move(header.metadata);
  for (const SafetensorsEntry& e : header.entries) {
    tensors_[e.name] = {e.type, e.shape};
    bytes_[e.name] = all.subspan(header.data_begin + e.begin, e.end - e.begin);
  }
}

Tensor MappedSafetensors::View(const std::string& tensor) const {
  const auto found = tensors_.find(tensor);
  GAS_CHECK(found != tensors_.end(), Errc::kBadFile, name_, ": no tensor '", tensor, "' among its ",
            tensors_.size());
  const TensorInfo& info = found->second;
  const StridedTensor where_it_lies = {.dtype = info.dtype,
                                       .shape = info.shape,
                                       .strides = RowMajorStrides(info.shape),
                                       .storage = bytes_.at(tensor)};
  return ContiguousView(name_ + ": tensor '" + tensor + "'", where_it_lies, file_);
}

}  // namespace gas
