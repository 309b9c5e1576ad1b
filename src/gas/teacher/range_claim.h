// The right to write the shards of one range of seeds, while several processes fill a folder.
#ifndef GAS_TEACHER_RANGE_CLAIM_H_
#define GAS_TEACHER_RANGE_CLAIM_H_

#include <filesystem>
#include <optional>
#include <string>

#include "gas/core/seeds.h"

namespace gas {

// Who holds a claim.
struct ClaimOwner {
  std::string host;
  int64_t pid = 0;
  std::string started;  // of the process, as the kernel counts it: a number that is given again is told apart

  static ClaimOwner ThisProcess();
  // False only for a process of this host that has ended; of other hosts nothing can be said.
  bool MayBeAlive() const;
};

// A lock file shard-FIRSTSEED.lock that is created exclusively and names its owner; removed at the end.
class RangeClaim {
 public:
  // The claim on the range that begins with seed `first`; nothing while another holds it. The lock of an
  // owner that has died is taken over. Throws Error(kIo) if the folder cannot be written.
  static std::optional<RangeClaim> Take(const std::filesystem::path& folder, Seed first);
  static std::filesystem::path LockOf(const std::filesystem::path& folder, Seed first);

  ~RangeClaim();
  RangeClaim(RangeClaim&& other) noexcept;
  RangeClaim& operator=(RangeClaim&&) = delete;

 private:
  explicit RangeClaim(std::filesystem::path lock) : lock_(std::move(lock)) {}
  std::filesystem::path lock_;  // empty once moved from
};

// The owner that a lock file names, "pid 4711 on HOST", or why it cannot be told.
std::string DescribeOwner(const std::filesystem::path& lock);

}  // namespace gas

#endif  // GAS_TEACHER_RANGE_CLAIM_H_
