#include "gas/models/model_files.h"

#include <fstream>

#include "gas/core/error.h"
#include "gas/io/mapped_safetensors.h"

namespace gas {
namespace {

std::string HeadOf(const std::filesystem::path& path) {
  std::error_code error;
  GAS_CHECK(std::filesystem::is_regular_file(path, error), Errc::kBadFile, path.string(),
            ": not there, or not a regular file");
  std::ifstream in(path, std::ios::binary);
  GAS_CHECK(in, Errc::kBadFile, path.string(), ": cannot open it");
  std::string head(ModelFiles::kHeadBytes, '\0');
  in.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<size_t>(in.gcount()));
  return head;
}

}  // namespace

ModelFiles::ModelFiles(const std::string& name) : name_(name) {
  if (name.starts_with(kProcessPrefix)) {
    command_ = name.substr(kProcessPrefix.size());
    return;
  }
  path_ = name;
  head_ = HeadOf(path_);
  if (LooksLikeSafetensors(head_)) tensors_ = std::make_shared<MappedSafetensors>(path_);
}

std::string ModelFiles::Metadata(const std::string& key) const {
  if (!tensors_) return "";
  const auto found = tensors_->metadata().find(key);
  return found == tensors_->metadata().end() ? "" : found->second;
}

}  // namespace gas
