#include "gas/io/sharded_safetensors.h"

#include <set>

#include "gas/core/error.h"
#include "gas/io/json.h"

namespace gas {
namespace {

constexpr const char* kWeightMap = "weight_map";

// A name from outside may not lead to another folder.
bool IsPlainFileName(const std::string& name) {
  const std::filesystem::path path(name);
  return !name.empty() && path == path.filename() && name != "." && name != ".." &&
         name.find('\0') == name.npos;
}

// Which shard each tensor is in, by the index.
std::map<std::string, std::string> ShardsOfTensors(const std::string& index, const nlohmann::json& json) {
  std::map<std::string, std::string> shard_of;
  for (const auto& [tensor, shard] : json.at(kWeightMap).items()) {
    const std::string what = index + ": the shard of tensor " + Quoted(tensor);
    ReadField(what, shard, shard_of[tensor]);
    GAS_CHECK(IsPlainFileName(shard_of[tensor]), Errc::kBadFile, what, " = ", Quoted(shard_of[tensor]),
              ", must be the name of a file beside the index");
  }
  GAS_CHECK(!shard_of.empty(), Errc::kBadFile, index, ": has no tensors");
  return shard_of;
}

}  // namespace

bool IsShardIndex(const nlohmann::json& json) {
  return json.is_object() && json.contains(kWeightMap) && json[kWeightMap].is_object();
}

ShardedSafetensors::ShardedSafetensors(const std::filesystem::path& index, const nlohmann::json& json) {
  name_ = index.string();
  GAS_CHECK(IsShardIndex(json), Errc::kBadFile, name_, ": has no object ", kWeightMap);
  shard_of_ = ShardsOfTensors(name_, json);
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : shard_of_) shards.insert(shard);
  GAS_CHECK(shards.size() <= kMaxShards, Errc::kBadFile, name_, ": names ", shards.size(),
            " shards, at most ", kMaxShards, " are read");
  for (const std::string& shard : shards) Add(shard);
  for (const auto& [tensor, shard] : shard_of_) {
    GAS_CHECK(tensors_.count(tensor) == 1, Errc::kBadFile, name_, ": tensor ", Quoted(tensor),
              " is not in its shard ", shard);
  }
}

void ShardedSafetensors::Add(const std::string& shard) {
  const std::filesystem::path path = std::filesystem::path(name_).parent_path() / shard;
  const auto file = std::make_shared<const MappedSafetensors>(path);
  for (const auto& [tensor, info] : file->tensors()) {
    const auto listed = shard_of_.find(tensor);
    GAS_CHECK(listed != shard_of_.end() && listed->second == shard, Errc::kBadFile, path.string(),
              ": tensor ", Quoted(tensor), " is not listed there by ", name_);
    tensors_[tensor] = info;
  }
  for (const auto& [key, value] : file->metadata()) {
    const auto added = metadata_.emplace(key, value);
    GAS_CHECK(added.second || added.first->second == value, Errc::kBadFile, path.string(), ": metadata ",
              Quoted(key), " differ from those of an earlier shard");
  }
  paths_.push_back(path);
  files_[shard] = file;
}

Tensor ShardedSafetensors::View(const std::string& tensor) const {
  const auto found = shard_of_.find(tensor);
  GAS_CHECK(found != shard_of_.end(), Errc::kBadFile, name_, ": no tensor ", Quoted(tensor), " among its ",
            shard_of_.size());
  return files_.at(found->second)->View(tensor);
}

}  // namespace gas
