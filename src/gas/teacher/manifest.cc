#include "gas/teacher/manifest.h"

#include <set>

#include "gas/core/error.h"
#include "gas/io/file.h"
#include "gas/io/json.h"
#include "gas/io/json_file.h"
#include "gas/io/json_mapping.h"
#include "gas/teacher/shard.h"

namespace gas {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kMaxManifestBytes = 256 << 20;
constexpr int64_t kMaxShardSize = 1 << 20;
constexpr size_t kMaxFormat1Seeds = 10'000'000;  // of all shards together

std::vector<Shard> ShardsOfFormat1(const std::string& name, const Json& items) {
  std::vector<Shard> shards;
  size_t seeds = 0;
  const size_t count = ListSize(name + ": shards", items);
  for (size_t i = 0; i < count; ++i) {
    const std::string what = name + ": shards[" + std::to_string(i) + "]";
    CheckObject(what, items[i]);
    Shard shard;
    ReadNeeded(what, items[i], "file", shard.file);
    ReadNeeded(what, items[i], "sha256", shard.sha256);
    shard.seeds = SeedsFromJson(what, items[i], kMaxFormat1Seeds - seeds);
    seeds += shard.seeds.size();
    GAS_CHECK(shard.file.find('/') == std::string::npos && !shard.file.starts_with('.'), Errc::kBadFile, name,
              ": shard name ", Quoted(shard.file), " leads out of the folder");
    shards.push_back(std::move(shard));
  }
  return shards;
}

void CheckNoSeedTwice(const std::filesystem::path& folder, const std::vector<Shard>& shards) {
  std::set<Seed> seen;
  for (const Shard& shard : shards) {
    for (const Seed seed : shard.seeds) {
      GAS_CHECK(seen.insert(seed).second, Errc::kBadFile, folder.string(), ": seed ", seed,
                " appears twice, in ", shard.file, " and in another shard");
    }
  }
}

}  // namespace

Manifest Manifest::Read(const std::filesystem::path& folder) {
  const std::string name = PathIn(folder).string();
  const Json json = ReadJsonFile(name, kMaxManifestBytes);
  GAS_CHECK(json.is_object() && json.contains("gas_teacher"), Errc::kBadFile, name,
            ": no entry gas_teacher, so not the manifest of teacher data");
  const Json& format = json["gas_teacher"];
  GAS_CHECK(format.is_number_integer() && (format == 1 || format == 2), Errc::kBadFile, name,
            ": gas_teacher = format ", Shown(format), ", this program reads 1 and 2");
  Manifest manifest;
  manifest.format = format.get<int>();
  manifest.spec = EntryAt(name, json, "spec");
  if (manifest.format == 1) {
    manifest.format1_shards = ShardsOfFormat1(name, EntryAt(name, json, "shards"));
    return manifest;
  }
  manifest.shard_size =
      WholeNumber(name + ": shard_size", EntryAt(name, json, "shard_size"), 1, kMaxShardSize);
  return manifest;
}

bool Manifest::WriteIfAbsent(const std::filesystem::path& folder) const {
  const Json json = {{"gas_teacher", kTeacherFormat}, {"spec", spec}, {"shard_size", shard_size}};
  return WriteNewFile(PathIn(folder), json.dump(1) + "\n");
}

std::vector<Shard> ListShards(const std::filesystem::path& folder, const Manifest& manifest) {
  std::vector<Shard> shards = manifest.format == 1 ? manifest.format1_shards : ReadSidecars(folder);
  CheckNoSeedTwice(folder, shards);
  return shards;
}

}  // namespace gas
