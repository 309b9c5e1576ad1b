#include "gas/io/checkpoint.h"

#include <charconv>
#include <span>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "gas/core/error.h"
#include "gas/io/file.h"
#include "gas/io/safetensors.h"

namespace gas {
namespace {

const std::string kFormatKey = "gas_checkpoint", kChecksumKey = "sha256";

}  // namespace

Checkpoint::Checkpoint(const std::filesystem::path& path) : name_(path.string()) {
  Safetensors file = ReadSafetensors(path);
  tensors_ = std::move(file.tensors);
  text_ = std::move(file.metadata);
  GAS_CHECK(text_.contains(kFormatKey), Errc::kBadFile, name_, ": is no checkpoint of format ",
            kCheckpointFormat, "; begin the run in another folder");
  GAS_CHECK(Int(kFormatKey) == kCheckpointFormat, Errc::kBadFile, name_, ": checkpoint of format ",
            Text(kFormatKey), ", this program reads ", kCheckpointFormat,
            "; begin the run in another folder");
  GAS_CHECK(Text(kChecksumKey) == Checksum(), Errc::kBadFile, name_,
            ": does not match its checksum, the file is damaged");
  for (const auto& [name, tensor] : tensors_) {
    GAS_CHECK(!tensor.is_floating_point() || tensor.isfinite().all().item<bool>(), Errc::kBadFile, name_,
              ": tensor ", name, " has entries that are not finite");
  }
}

void Checkpoint::Write(const std::filesystem::path& path) const {
  std::map<std::string, std::string> text = text_;
  text[kFormatKey] = std::to_string(kCheckpointFormat);
  text[kChecksumKey] = Checksum();
  WriteSafetensors(path, tensors_, text);
}

// SHA-256 over a list of all that the file says: each text, and each tensor's type, shape and hash.
std::string Checkpoint::Checksum() const {
  std::string list;
  for (const auto& [key, text] : text_) {
    if (key != kFormatKey && key != kChecksumKey) list += key + " " + Sha256(text) + "\n";
  }
  for (const auto& [name, tensor] : tensors_) {
    const Tensor bytes = tensor.contiguous();
    const std::span<const char> data(static_cast<const char*>(bytes.data_ptr()), bytes.nbytes());
    list += fmt::format("{} {} [{}] {}\n", name, c10::toString(tensor.scalar_type()),
                        fmt::join(tensor.sizes(), ","), Sha256(data));
  }
  return Sha256(list);
}

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
