// Shards of teacher data, each a safetensors file with a sidecar that says whose samples it has and its hash.
#ifndef GAS_TEACHER_SHARD_H_
#define GAS_TEACHER_SHARD_H_

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "gas/core/seeds.h"
#include "gas/teacher/manifest.h"
#include "gas/teacher/sample_seeds.h"

namespace gas {

// Seeds of one range [first, last], both included.
struct SeedRangeBounds {
  Seed first = 0, last = 0;
};

// The range of `size` seeds that `seed` lies in.
SeedRangeBounds RangeOf(Seed seed, int64_t size);

// The lock of who writes the shards of the range that begins with seed `first`: shard-FIRSTSEED.lock.
std::filesystem::path RangeLock(const std::filesystem::path& folder, Seed first);

// The entry "seeds" of an object whose path is `what`. Throws Error(kBadFile) if it is missing or no such
// text.
std::vector<Seed> SeedsFromJson(const std::string& what, const nlohmann::json& json,
                                size_t most = kMostSeeds);

// The sidecars in the folder, ascending by first seed; a shard without one is not complete, and is passed
// over. Throws Error(kBadFile) for a sidecar that is damaged.
std::vector<Shard> ReadSidecars(const std::filesystem::path& folder);
// Those whose first seed lies in the range.
std::vector<Shard> ReadSidecars(const std::filesystem::path& folder, const SeedRangeBounds& range);

// Writes shard-FIRSTSEED.safetensors and then, as it is whole now, its sidecar shard-FIRSTSEED.json.
Shard WriteShard(const std::filesystem::path& folder, const std::vector<Seed>& seeds, const Samples& samples);

// What is wrong with a shard that its sidecar calls complete, in a few words; "" if nothing is.
std::string DamageOf(const std::filesystem::path& folder, const Shard& shard);

// Removes sidecar and shard, in this order, so that at no time a sidecar stands without its shard.
void RemoveShard(const std::filesystem::path& folder, const Shard& shard);

// What of a shard is compared when it is read.
enum class ShardCheck {
  kHash,   // the file's hash, and shapes
  kShape,  // shapes alone, for a file whose hash was compared before
};

// The tensors of a shard: noise, images [B,...] and what else it has, conditions by Condition::Named. Throws
// Error(kBadFile) if the file is missing or does not match its hash.
std::map<std::string, Tensor> ReadShard(const std::filesystem::path& folder, const Shard& shard,
                                        ShardCheck check = ShardCheck::kHash);

}  // namespace gas

#endif  // GAS_TEACHER_SHARD_H_
