#include "gas/io/mapped_safetensors.h"

#include <algorithm>
#include <cstdint>

#include <ATen/ops/from_blob.h>

#include "gas/core/error.h"
#include "gas/io/layout.h"

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
  const std::span<const char> bytes = bytes_.at(tensor);
  if (bytes.empty()) return torch::empty(info.shape, info.dtype);
  const auto forget = [file = file_, bytes](void*) { file->Forget(bytes); };
  Tensor view = at::from_blob(const_cast<char*>(bytes.data()), info.shape, forget, info.dtype);
  // Other programs may write headers after which numbers do not lie at multiples of their size.
  if (reinterpret_cast<uintptr_t>(bytes.data()) % view.element_size() != 0) {
    const Tensor aligned = torch::empty(info.shape, info.dtype);
    std::copy_n(bytes.data(), bytes.size(), static_cast<char*>(aligned.data_ptr()));
    view = aligned;
  }
  CheckBooleans(view, name_ + ": tensor '" + tensor + "'");
  return view;
}

}  // namespace gas
