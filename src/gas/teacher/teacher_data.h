// Reads a folder of teacher data.
#ifndef GAS_TEACHER_TEACHER_DATA_H_
#define GAS_TEACHER_TEACHER_DATA_H_

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "gas/core/seeds.h"
#include "gas/teacher/sample_seeds.h"
#include "gas/teacher/teacher_spec.h"

namespace gas {

// Of the shards that were read last, so many bytes are kept.
inline constexpr uint64_t kShardCacheBytes = uint64_t{2} << 30;

// The samples that were complete when it was opened, numbered by ascending seed (data of format 1: in the
// order in which they were made). Shards are loaded when needed and at most `cache_bytes` of them are kept.
class TeacherData {
 public:
  // Throws Error(kBadFile) naming the folder and what is wrong.
  explicit TeacherData(const std::filesystem::path& folder, uint64_t cache_bytes = kShardCacheBytes);
  ~TeacherData();
  TeacherData(TeacherData&&) noexcept;

  int64_t size() const;
  const TeacherSpec& spec() const;
  std::vector<Seed> seeds() const;
  // How many consecutive samples lie in one shard each: what is read together.
  std::vector<int64_t> blocks() const;
  // On disk, of the first shard's.
  int64_t bytes_per_sample() const;
  // The teacher's times [N+1], float64 (TimesOf of the spec).
  Tensor times(const NoiseSchedule& schedule) const;
  // SHA-256 of what the samples are and of all of them, by the hashes of their shards.
  const std::string& sha256() const;

  // Rows `indices` in that order. Each shard's hash is compared when it is first read.
  Samples Read(const std::vector<int64_t>& indices) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gas

#endif  // GAS_TEACHER_TEACHER_DATA_H_
