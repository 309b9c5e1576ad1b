#include "gas/train/checkpoint.h"

#include <charconv>

#include "gas/core/error.h"
#include "gas/io/safetensors.h"

namespace gas {

Checkpoint::Checkpoint(const std::filesystem::path& path) : name_(path.string()) {
  Safetensors file = ReadSafetensors(path);
  tensors_ = std::move(file.tensors);
  text_ = std::move(file.metadata);
}

void Checkpoint::Write(const std::filesystem::path& path) const { WriteSafetensors(path, tensors_, text_); }

void Checkpoint::Put(const std::string& group, const std::map<std::string, Tensor>& tensors) {
  for (const auto& [name, tensor] : tensors) tensors_[group + "/" + name] = tensor.detach().cpu();
}

std::map<std::string, Tensor> Checkpoint::Group(const std::string& group) const {
  std::map<std::string, Tensor> found;
  const std::string prefix = group + "/";
  for (auto it = tensors_.lower_bound(prefix); it != tensors_.end() && it->first.starts_with(prefix); ++it) {
    found[it->first.substr(prefix.size())] = it->second;
  }
  return found;
}

const std::string& Checkpoint::Text(const std::string& key) const {
  const auto found = text_.find(key);
  GAS_CHECK(found != text_.end(), Errc::kBadFile, name_, ": entry ", key, " is missing");
  return found->second;
}

int64_t Checkpoint::Int(const std::string& key) const {
  const std::string& text = Text(key);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  GAS_CHECK(error == std::errc() && end == text.data() + text.size(), Errc::kBadFile, name_, ": entry ", key,
            " = ", text, " is not a whole number");
  return value;
}

}  // namespace gas
