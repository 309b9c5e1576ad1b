// The manifest of a teacher folder (what its samples are), and the list of its shards. docs/formats.md
#ifndef GAS_TEACHER_MANIFEST_H_
#define GAS_TEACHER_MANIFEST_H_

#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "gas/core/seeds.h"

namespace gas {

inline constexpr int kTeacherFormat = 2;

// A file of samples.
struct Shard {
  std::string file, sha256;
  std::vector<Seed> seeds;  // of its rows
};

// manifest.json. In format 2 it says what the samples are and is written once; each shard has a sidecar
// (teacher/shard.h). In format 1 it listed the shards too, and was written again after each.
struct Manifest {
  int format = kTeacherFormat;
  nlohmann::json spec;
  int64_t shard_size = 256;  // a shard's seeds lie in one range [k * shard_size, (k + 1) * shard_size)
  std::vector<Shard> format1_shards;  // empty in format 2

  static std::filesystem::path PathIn(const std::filesystem::path& folder) {
    return folder / "manifest.json";
  }
  // Throws Error(kBadFile) that names the file and what is wrong.
  static Manifest Read(const std::filesystem::path& folder);

  // Writes format 2 if the folder has no manifest, whole or not at all. False: another writer was first, and
  // its manifest stays.
  bool WriteIfAbsent(const std::filesystem::path& folder) const;
};

// All shards of the folder that are complete, in the order in which their samples are numbered: ascending by
// first seed, or in the order of a format-1 manifest. Throws Error(kBadFile) for a damaged sidecar and a seed
// that appears twice.
std::vector<Shard> ListShards(const std::filesystem::path& folder, const Manifest& manifest);

}  // namespace gas

#endif  // GAS_TEACHER_MANIFEST_H_
