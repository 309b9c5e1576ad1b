#include "gas/teacher/manifest.h"

#include <set>

#include "gas/core/error.h"
#include "gas/io/file.h"

namespace gas {
namespace {

using Json = nlohmann::json;
constexpr int kFormat = 1;

}  // namespace

Manifest Manifest::Read(const std::filesystem::path& folder) {
  const auto path = PathIn(folder);
  const Bytes bytes = ReadFile(path, 256 << 20);
  const Json json = Json::parse(bytes.begin(), bytes.end(), nullptr, /*allow_exceptions=*/false);
  GAS_CHECK(json.is_object() && json.contains("gas_teacher"), Errc::kBadFile, path.string(),
            ": no entry gas_teacher, so not the manifest of teacher data");
  try {
    GAS_CHECK(json.at("gas_teacher").get<int>() == kFormat, Errc::kBadFile, path.string(), ": format ",
              json.at("gas_teacher").get<int>(), ", this program reads ", kFormat);
    Manifest manifest;
    manifest.spec = json.at("spec");
    std::set<Seed> seen;
    for (const Json& item : json.at("shards")) {
      Shard shard{item.at("file").get<std::string>(), item.at("sha256").get<std::string>(),
                  ParseSeeds(item.at("seeds").get<std::string>())};
      GAS_CHECK(shard.file.find('/') == std::string::npos && !shard.file.starts_with('.'), Errc::kBadFile,
                path.string(), ": shard name ", shard.file, " leads out of the folder");
      for (const Seed seed : shard.seeds) {
        GAS_CHECK(seen.insert(seed).second, Errc::kBadFile, path.string(), ": seed ", seed, " appears twice");
      }
      manifest.shards.push_back(std::move(shard));
    }
    return manifest;
  } catch (const Json::exception& e) {
    Fail(Errc::kBadFile, path.string(), ": ", e.what());
  }
}

void Manifest::Write(const std::filesystem::path& folder) const {
  Json json = {{"gas_teacher", kFormat}, {"spec", spec}, {"shards", Json::array()}};
  for (const Shard& shard : shards) {
    json["shards"].push_back(
        {{"file", shard.file}, {"sha256", shard.sha256}, {"seeds", FormatSeeds(shard.seeds)}});
  }
  WriteFile(PathIn(folder), json.dump(1) + "\n");
}

}  // namespace gas
