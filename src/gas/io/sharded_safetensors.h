// Tensors in several safetensors files, as Hugging Face's libraries write large models: a JSON index beside
// them, NAME.safetensors.index.json, says which file has which tensor.
// https://huggingface.co/docs/transformers/big_models#sharded-checkpoints
#ifndef GAS_IO_SHARDED_SAFETENSORS_H_
#define GAS_IO_SHARDED_SAFETENSORS_H_

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "gas/io/mapped_safetensors.h"

namespace gas {

// Whether a JSON object is such an index.
bool IsShardIndex(const nlohmann::json& json);

class ShardedSafetensors : public TensorFile {
 public:
  static constexpr size_t kMaxShards = 4096;

  // Reads the headers of all shards, which lie in the index's folder. The metadata are those of the shards.
  // Throws Error(kBadFile) for a shard whose name is no plain file name or that is not there or damaged, for
  // a tensor that its shard has not or that only a shard has, and for shards whose metadata differ.
  ShardedSafetensors(const std::filesystem::path& index, const nlohmann::json& json);
  Tensor View(const std::string& tensor) const override;

  // In the order of their names.
  const std::vector<std::filesystem::path>& shards() const { return paths_; }

 private:
  void Add(const std::string& shard);

  std::vector<std::filesystem::path> paths_;
  std::map<std::string, std::shared_ptr<const MappedSafetensors>> files_;  // by the shard's name
  std::map<std::string, std::string> shard_of_;                            // of each tensor
};

}  // namespace gas

#endif  // GAS_IO_SHARDED_SAFETENSORS_H_
