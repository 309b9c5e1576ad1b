#include "gas/teacher/write_teacher_data.h"

#include <map>
#include <set>
#include <thread>

#include "gas/core/error.h"
#include "gas/core/interrupt.h"
#include "gas/io/file.h"
#include "gas/io/lock_file.h"
#include "gas/io/temporary_files.h"
#include "gas/teacher/manifest.h"
#include "gas/teacher/sample_seeds.h"
#include "gas/teacher/shard.h"
#include "gas/teacher/shard_size.h"

namespace gas {
namespace {

namespace fs = std::filesystem;

TeacherSpec SpecOf(const fs::path& folder, const Manifest& manifest) {
  try {
    return TeacherSpec::FromJson(manifest.spec);
  } catch (const Error& e) {
    Fail(e.code(), Manifest::PathIn(folder).string(), ": ", e.what());
  }
}

// Data of format 1 are kept as they are: nothing is made, so everything must be there.
void CheckFormat1HasAll(const fs::path& folder, const Manifest& manifest, const TeacherSpec& want,
                        const std::vector<Seed>& seeds) {
  TeacherSpec comparable = want;
  comparable.dtype.clear();
  comparable.table_sha256.clear();
  CheckSameSpec(folder.string(), SpecOf(folder, manifest), comparable);
  std::set<Seed> have;
  for (const Shard& shard : ListShards(folder, manifest)) {
    const std::string damage = DamageOf(folder, shard);
    GAS_CHECK(damage.empty(), Errc::kBadFile, (folder / shard.file).string(), ": ", damage,
              ", and data of format 1 are not made again; choose another folder");
    have.insert(shard.seeds.begin(), shard.seeds.end());
  }
  for (const Seed seed : seeds) {
    GAS_CHECK(have.contains(seed), Errc::kBadFile, folder.string(), ": has no sample of seed ", seed,
              ", and data of format 1 are read but not extended; choose another folder");
  }
}

// The folder's manifest, which is written if there is none.
Manifest OpenManifest(const fs::path& folder, const TeacherSpec& spec, const Model& model,
                      const StepTable& table, std::optional<int64_t> shard_size) {
  if (!fs::exists(Manifest::PathIn(folder))) {
    Manifest mine;
    mine.spec = spec.ToJson();
    mine.shard_size = shard_size ? *shard_size : MeasuredShardSize(model, table);
    if (mine.WriteIfAbsent(folder)) return mine;
  }
  Manifest manifest = Manifest::Read(folder);
  if (manifest.format == 1) return manifest;
  CheckSameSpec(folder.string(), SpecOf(folder, manifest), spec);
  GAS_CHECK(!shard_size || *shard_size == manifest.shard_size, Errc::kBadOption,
            "teacher.shard = ", *shard_size, ": ", folder.string(), " has shards of ", manifest.shard_size,
            " seeds, and keeps to them");
  return manifest;
}

class FolderWriter {
 public:
  FolderWriter(const fs::path& folder, const Manifest& manifest, const Model& model, const StepTable& table,
               bool states, const TeacherOptions& options)
      : folder_(folder),
        shard_size_(manifest.shard_size),
        model_(model),
        table_(table),
        states_(states),
        options_(options) {}

  int64_t Fill(const std::vector<Seed>& seeds) {
    std::map<Seed, std::set<Seed>> pending;  // what is asked of each range, by its first seed
    for (const Seed seed : seeds) pending[RangeOf(seed, shard_size_).first].insert(seed);
    for (const auto& [first, asked] : pending) total_ += static_cast<int64_t>(asked.size());
    while (!pending.empty()) {
      if (!FillFreeRanges(pending)) Wait(pending.begin()->first);
    }
    return made_;
  }

 private:
  // Fills the ranges that nobody else holds and takes them off the list; false if there was none.
  bool FillFreeRanges(std::map<Seed, std::set<Seed>>& pending) {
    bool any = false;
    for (auto range = pending.begin(); range != pending.end();) {
      const std::optional<LockFile> claim = LockFile::Take(RangeLock(folder_, range->first), "gas teacher");
      if (!claim) {
        ++range;
        continue;
      }
      FillRange(range->first, range->second);
      any = true;
      range = pending.erase(range);
    }
    return any;
  }

  void FillRange(Seed first, const std::set<Seed>& asked) {
    std::set<Seed> missing = asked;
    for (const Shard& shard : ReadSidecars(folder_, RangeOf(first, shard_size_))) {
      const std::string damage = DamageOf(folder_, shard);
      if (damage.empty()) {
        for (const Seed seed : shard.seeds) missing.erase(seed);
        continue;
      }
      Say((folder_ / shard.file).string() + ": " + damage + "; it is made again");
      RemoveShard(folder_, shard);
      missing.insert(shard.seeds.begin(), shard.seeds.end());
    }
    if (!missing.empty()) Make({missing.begin(), missing.end()});
    done_ += static_cast<int64_t>(asked.size());
    Report(done_);
  }

  void Make(const std::vector<Seed>& seeds) {
    const Samples samples =
        CollectSamples(model_, table_, RequestsFor(seeds),
                       {.batch = options_.batch, .keep_states = states_, .progress = [this](int64_t done) {
                          Report(std::min(total_, done_ + done));
                        }});
    WriteShard(folder_, seeds, samples);
    made_ += static_cast<int64_t>(seeds.size());
  }

  void Wait(Seed first) {
    if (announced_.insert(first).second) {
      const fs::path lock = RangeLock(folder_, first);
      Say("waiting for " + DescribeOwner(lock) + ", which makes seeds from " + std::to_string(first) +
          " up; if that process has ended, remove " + lock.string());
    }
    std::this_thread::sleep_for(options_.poll);
    CheckInterrupt();
  }

  void Say(const std::string& sentence) const {
    if (options_.message) options_.message(sentence);
  }
  void Report(int64_t done) const {
    if (options_.progress) options_.progress(done, total_);
  }

  const fs::path& folder_;
  int64_t shard_size_;
  const Model& model_;
  const StepTable& table_;
  bool states_;
  const TeacherOptions& options_;
  int64_t total_ = 0, done_ = 0, made_ = 0;
  std::set<Seed> announced_;
};

}  // namespace

int64_t WriteTeacherData(const fs::path& folder, const TeacherSpec& spec, const Model& model,
                         const StepTable& table, const std::vector<Seed>& seeds,
                         const TeacherOptions& options) {
  MakeDirectory(folder);
  RemoveAbandonedTemporaries(folder);
  TeacherSpec full = spec;
  SetTable(full, table);
  const Manifest manifest = OpenManifest(folder, full, model, table, options.shard_size);
  if (manifest.format == 1) {
    CheckFormat1HasAll(folder, manifest, full, seeds);
    return 0;
  }
  return FolderWriter(folder, manifest, model, table, spec.states, options).Fill(seeds);
}

}  // namespace gas
