#include "gas/models/model_files.h"

#include <algorithm>
#include <fstream>

#include "gas/core/error.h"
#include "gas/io/file.h"
#include "gas/io/json.h"
#include "gas/io/mapped_safetensors.h"
#include "gas/io/sharded_safetensors.h"
#include "gas/io/torch_formats.h"
#include "gas/io/torch_tensors.h"
#include "gas/io/zip.h"

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
  GAS_CHECK(!in.bad(), Errc::kIo, path.string(), ": cannot be read");
  head.resize(static_cast<size_t>(in.gcount()));
  return head;
}

bool LooksLikeJsonObject(std::string_view head) {
  const size_t first = head.find_first_not_of(" \t\r\n");
  return first != head.npos && head[first] == '{';
}

std::vector<std::string> NamesInArchive(const std::filesystem::path& path) {
  const MappedFile file(path);
  std::vector<std::string> names;
  for (ZipEntry& entry : ReadZipDirectory(path.string(), file.bytes()))
    names.push_back(std::move(entry.name));
  return names;
}

// A dictionary of tensors and of nothing else.
bool IsStateDict(const TorchFile& file) {
  const auto* dict = file.root().If<PickleDict>();
  return dict != nullptr && !dict->items.empty() &&
         std::all_of(dict->items.begin(), dict->items.end(), [&](const auto& item) {
           return item.first->template If<std::string>() != nullptr && file.TensorOf(*item.second);
         });
}

}  // namespace

ModelFiles::ModelFiles(const std::string& name) : name_(name) {
  if (name.starts_with(kProcessPrefix)) {
    command_ = name.substr(kProcessPrefix.size());
    return;
  }
  path_ = name;
  if (std::filesystem::is_directory(path_)) {
    GAS_CHECK(std::filesystem::exists(path_ / kModelIndex), Errc::kBadFile, name, ": a folder without ",
              kModelIndex, ", which a model of diffusers has");
    path_ /= kModelIndex;
  }
  head_ = HeadOf(path_);
  if (LooksLikeSafetensors(head_)) tensors_ = std::make_shared<MappedSafetensors>(path_);
  if (LooksLikeJsonObject(head_)) {
    const Bytes bytes = ReadFile(path_, kMaxJsonBytes);
    json_ = ParseJsonOrNone({bytes.data(), bytes.size()});
  }
  if (json_ && IsShardIndex(*json_)) {
    const auto sharded = std::make_shared<ShardedSafetensors>(path_, *json_);
    shards_ = sharded->shards();
    tensors_ = sharded;
  }
  if (LooksLikeZip(head_)) entries_ = NamesInArchive(path_);
  if (LooksLikePickle(head_) || IsTorchArchive(entries_)) OpenTorchFile();
}

// Objects of classes that nobody knows are data here: a published checkpoint has some beside its tensors.
void ModelFiles::OpenTorchFile() {
  torch_ = std::make_shared<TorchFile>(path_, UnknownClasses::kKeep);
  if (IsStateDict(*torch_)) tensors_ = std::make_shared<TorchTensors>(torch_);
}

bool ModelFiles::HasJsonEntry(const char* key) const {
  return json_ && json_->is_object() && json_->contains(key);
}

std::string ModelFiles::Sha256() const {
  std::string hash = Sha256OfFile(path_);
  for (const std::filesystem::path& shard : shards_) hash = Sha256With(hash, Sha256OfFile(shard));
  return hash;
}

std::string Sha256With(const std::string& weights_sha256, std::string_view configuration) {
  return gas::Sha256(weights_sha256 + std::string(configuration));
}

std::string ModelFiles::Metadata(const std::string& key) const {
  if (!tensors_) return "";
  const auto found = tensors_->metadata().find(key);
  return found == tensors_->metadata().end() ? "" : found->second;
}

}  // namespace gas
