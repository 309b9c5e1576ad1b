// Teacher data: noises, samples and labels of a long solver run, in a folder of shards.
#ifndef GAS_TEACHER_TEACHER_H_
#define GAS_TEACHER_TEACHER_H_

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "gas/core/seeds.h"
#include "gas/models/model.h"
#include "gas/solver/step_table.h"

namespace gas {

// The teacher where none is asked for.
inline constexpr const char* kTeacherSolver = "unipc-3-bh1";
inline constexpr const char* kTeacherGrid = "logsnr";
inline constexpr int64_t kTeacherNfe = 20;

// What the samples are; two data sets may be joined only if all of it agrees.
struct TeacherSpec {
  std::string model, model_sha256;
  std::string solver, grid;
  int64_t nfe = kTeacherNfe;
  double t_eps = kDefaultTEps;
  double guidance = 1.0;
  bool states = false;         // keep x_0 .. x_{N-1} and the data predictions too
  std::vector<int64_t> shape;  // [C,H,W]
  int64_t classes = 0;         // labels are drawn per seed (core/seeds.h)

  nlohmann::json ToJson() const;
  static TeacherSpec FromJson(const nlohmann::json& json);  // throws nlohmann::json::exception
};

struct TeacherOptions {
  int64_t batch = 64;
  int64_t shard_size = 256;
  std::function<void(int64_t done, int64_t total)> progress;
};

// Samples of `seeds` [B,C,H,W] float32 on the CPU. Labels are drawn per seed when the model has classes.
struct Samples {
  Tensor noise, images, labels;     // labels [B] int64, undefined without classes
  Tensor states, data_predictions;  // [B,N,C,H,W] when asked for
};
Samples RunTeacher(const Model& model, const StepTable& table, const std::vector<Seed>& seeds, bool states,
                   int64_t batch, const std::function<void(int64_t done)>& progress = {});

// Makes the folder hold `seeds`: shards that are there and whole are kept, so that an interrupted run
// continues and a finished one can be extended. Returns the number of samples made now. Throws
// Error(kBadFile) if the folder holds data of another kind (naming the first entry that differs) or a damaged
// shard.
int64_t WriteTeacherData(const std::filesystem::path& folder, const TeacherSpec& spec, const Model& model,
                         const StepTable& table, const std::vector<Seed>& seeds,
                         const TeacherOptions& options = {});

// Reads such a folder; shards are loaded when needed and at most `cache_bytes` of them are kept.
class TeacherData {
 public:
  // Throws Error(kBadFile) naming the folder and what is wrong.
  explicit TeacherData(const std::filesystem::path& folder, uint64_t cache_bytes = uint64_t{2} << 30);
  ~TeacherData();
  TeacherData(TeacherData&&) noexcept;

  int64_t size() const;
  const TeacherSpec& spec() const;
  std::vector<Seed> seeds() const;

  // Rows `indices` in that order. Each shard's checksum is compared when it is first read.
  Samples Read(const std::vector<int64_t>& indices) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gas

#endif  // GAS_TEACHER_TEACHER_H_
