#include "gas/teacher/shard.h"

#include <charconv>
#include <limits>

#include <fmt/format.h>

#include "gas/core/error.h"
#include "gas/io/file.h"
#include "gas/io/json.h"
#include "gas/io/json_file.h"
#include "gas/io/json_mapping.h"
#include "gas/io/safetensors.h"

namespace gas {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr std::string_view kPrefix = "shard-", kSidecarSuffix = ".json", kShardSuffix = ".safetensors";
constexpr uint64_t kMaxSidecarBytes = 64 << 20;

std::string NameOf(Seed first, std::string_view suffix) {
  return fmt::format("{}{:08}{}", kPrefix, first, suffix);
}

std::string SidecarOf(const Shard& shard) {
  return fs::path(shard.file).replace_extension(kSidecarSuffix).string();
}

// The first seed that the name of a sidecar tells; nothing for the name of another file.
std::optional<Seed> FirstSeedOf(const std::string& name) {
  if (!name.starts_with(kPrefix) || !name.ends_with(kSidecarSuffix)) return std::nullopt;
  const std::string digits =
      name.substr(kPrefix.size(), name.size() - kPrefix.size() - kSidecarSuffix.size());
  Seed seed = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), seed);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return seed;
}

Shard ReadSidecar(const fs::path& path, Seed first) {
  const Json json = ReadJsonFile(path, kMaxSidecarBytes);
  const std::string name = path.string();
  GAS_CHECK(json.is_object() && json.contains("seeds") && json.contains("sha256"), Errc::kBadFile, name,
            ": is no sidecar of a shard, which has seeds and sha256; remove it and run gas teacher again");
  Shard shard{.file = NameOf(first, kShardSuffix)};
  ReadNeeded(name + ": sidecar", json, "sha256", shard.sha256);
  shard.seeds = SeedsFromJson(name + ": sidecar", json);
  GAS_CHECK(shard.seeds.front() == first, Errc::kBadFile, path.string(), ": its first seed is ",
            shard.seeds.front(), ", its name says ", first);
  return shard;
}

}  // namespace

std::vector<Seed> SeedsFromJson(const std::string& what, const Json& json, size_t most) {
  std::string text;
  ReadNeeded(what, json, "seeds", text);
  try {
    return ParseSeeds(text, most);
  } catch (const Error& e) {  // which for an option would be the user's
    Fail(Errc::kBadFile, what, ": ", e.what());
  }
}

SeedRangeBounds RangeOf(Seed seed, int64_t size) {
  const Seed width = static_cast<Seed>(size), first = seed - seed % width;
  const Seed largest = std::numeric_limits<Seed>::max();
  return {first, first > largest - (width - 1) ? largest : first + (width - 1)};
}

fs::path RangeLock(const fs::path& folder, Seed first) { return folder / NameOf(first, ".lock"); }

std::vector<Shard> ReadSidecars(const fs::path& folder) {
  return ReadSidecars(folder, {0, std::numeric_limits<Seed>::max()});
}

std::vector<Shard> ReadSidecars(const fs::path& folder, const SeedRangeBounds& range) {
  std::map<Seed, fs::path> sidecars;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::optional<Seed> first = FirstSeedOf(entry.path().filename().string());
    if (first && *first >= range.first && *first <= range.last) sidecars[*first] = entry.path();
  }
  std::vector<Shard> shards;
  for (const auto& [first, path] : sidecars) shards.push_back(ReadSidecar(path, first));
  return shards;
}

Shard WriteShard(const fs::path& folder, const std::vector<Seed>& seeds, const Samples& samples) {
  std::map<std::string, Tensor> tensors = {{"noise", samples.noise}, {"images", samples.images}};
  for (const auto& [name, tensor] : samples.condition.Named()) tensors[name] = tensor.contiguous();
  if (samples.states.defined()) {
    tensors["states"] = samples.states;
    tensors["data_predictions"] = samples.data_predictions;
  }
  Shard shard{NameOf(seeds.front(), kShardSuffix), "", seeds};
  WriteSafetensors(folder / shard.file, tensors, {{"seeds", FormatSeeds(seeds)}});
  shard.sha256 = Sha256OfFile(folder / shard.file);
  const Json sidecar = {{"seeds", FormatSeeds(seeds)}, {"sha256", shard.sha256}};
  WriteFile(folder / SidecarOf(shard), sidecar.dump(1) + "\n");
  return shard;
}

std::string DamageOf(const fs::path& folder, const Shard& shard) {
  const fs::path path = folder / shard.file;
  if (!fs::exists(path)) return "is missing";
  return Sha256OfFile(path) == shard.sha256 ? "" : "does not match its SHA-256";
}

void RemoveShard(const fs::path& folder, const Shard& shard) {
  for (const std::string& name : {SidecarOf(shard), shard.file}) {
    std::error_code error;
    fs::remove(folder / name, error);
    GAS_CHECK(!error, Errc::kIo, (folder / name).string(), ": cannot remove it: ", error.message());
  }
}

std::map<std::string, Tensor> ReadShard(const fs::path& folder, const Shard& shard, ShardCheck check) {
  const fs::path path = folder / shard.file;
  const Bytes bytes = ReadFile(path);
  if (check == ShardCheck::kHash) {
    const std::string sha256 = Sha256(bytes);
    GAS_CHECK(sha256 == shard.sha256, Errc::kBadFile, path.string(), ": SHA-256 ", sha256, ", must be ",
              Printable(shard.sha256), "; gas teacher with the same options makes the shard again");
  }
  Safetensors file = ParseSafetensors(path.string(), bytes);
  return std::move(file.tensors);
}

}  // namespace gas
