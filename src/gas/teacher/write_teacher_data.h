// Fills a folder with teacher data; several processes may do so at once.
#ifndef GAS_TEACHER_WRITE_TEACHER_DATA_H_
#define GAS_TEACHER_WRITE_TEACHER_DATA_H_

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "gas/core/seeds.h"
#include "gas/models/model.h"
#include "gas/solver/step_table.h"
#include "gas/teacher/teacher_spec.h"

namespace gas {

struct TeacherOptions {
  int64_t batch = 64;
  // Seeds in a range, so at most that many samples in a file. A folder keeps the size that it began with:
  // another one is an error; nothing is that size, or MeasuredShardSize in a new folder.
  std::optional<int64_t> shard_size = {};
  // Samples of those asked for that the folder has, and how many were asked for.
  std::function<void(int64_t done, int64_t total)> progress = {};
  // Sentences for people: a shard that is made again, another writer that is waited for.
  std::function<void(const std::string&)> message = {};
  std::chrono::milliseconds poll{200};  // between looks at ranges that others hold
};

// Makes the folder hold the samples of `seeds` by `table`. What is there and whole is kept, so an interrupted
// run continues and a finished one can be extended; a shard that is missing or damaged is made again. Ranges
// that another process is writing are left to it, and looked at again at the end: on return all seeds are
// there. spec.times, network_times and table_sha256 are set from `table`. Returns the number of samples made
// now. Throws Error(kBadFile) if the folder holds data of another kind, naming the first entry that differs,
// or data of format 1 that lack a seed; Error(kBadOption) for another shard size; Error(kNumeric) for samples
// that are not finite.
int64_t WriteTeacherData(const std::filesystem::path& folder, const TeacherSpec& spec, const Model& model,
                         const StepTable& table, const std::vector<Seed>& seeds,
                         const TeacherOptions& options = {});

}  // namespace gas

#endif  // GAS_TEACHER_WRITE_TEACHER_DATA_H_
