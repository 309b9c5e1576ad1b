// The manifest of a teacher folder: what the samples are, and which shards hold which seeds.
#ifndef GAS_TEACHER_MANIFEST_H_
#define GAS_TEACHER_MANIFEST_H_

#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "gas/core/seeds.h"

namespace gas {

struct Shard {
  std::string file, sha256;
  std::vector<Seed> seeds;
};

struct Manifest {
  nlohmann::json spec;
  std::vector<Shard> shards;

  static std::filesystem::path PathIn(const std::filesystem::path& folder) {
    return folder / "manifest.json";
  }
  // Throws Error(kBadFile).
  static Manifest Read(const std::filesystem::path& folder);
  void Write(const std::filesystem::path& folder) const;
};

}  // namespace gas

#endif  // GAS_TEACHER_MANIFEST_H_
