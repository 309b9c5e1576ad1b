// What the samples of a teacher folder are.
#ifndef GAS_TEACHER_TEACHER_SPEC_H_
#define GAS_TEACHER_TEACHER_SPEC_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "gas/models/model.h"
#include "gas/solver/step_table.h"

namespace gas {

// The teacher where none is asked for.
inline constexpr const char* kTeacherSolver = "unipc-3-bh1";
inline constexpr const char* kTeacherGrid = "logsnr";
inline constexpr int64_t kTeacherNfe = 20;

// Two data sets may be joined only if all of it agrees.
struct TeacherSpec {
  std::string model, model_sha256;
  // As they were asked for, for people. Of imported data "" and 0 where nobody has told them.
  std::string solver, grid;
  int64_t nfe = kTeacherNfe;
  double t_eps = kDefaultTEps;
  double guidance = 1.0;
  // Of which each sample has a scale of its own, `guidance` being the middle; nothing: all have `guidance`.
  std::optional<GuidanceRange> guidance_range = {};
  bool states = false;         // x_0 .. x_{N-1} and the data predictions are kept too
  std::vector<int64_t> shape;  // of a sample, [C,H,W] for images
  int64_t classes = 0;         // labels are drawn per seed (core/seeds.h)
  // The entries below are empty in data of format 1, which did not keep them.
  std::string dtype;                         // of the network's products: "float32", "bfloat16"
  std::string convolution;                   // nn/convolution_plan.h's name; empty: direct
  std::string table_sha256;                  // of the solver's table (teacher/table_hash.h)
  std::vector<double> times;                 // [N+1] of the states and the sample, descending
  std::vector<double> network_times;         // [N]   that the network saw
  std::map<std::string, std::string> texts;  // ModelCard::texts
  std::string imported;  // SHA-256 of what they were imported from; "" for data that this program made

  nlohmann::json ToJson() const;
  // Throws Error(kBadFile), which names the key, for one that is missing and for a value of another kind.
  static TeacherSpec FromJson(const nlohmann::json& json);
};

// Puts the model, as it was opened, into the spec.
void SetModel(TeacherSpec& spec, const Model& model);

// Puts the table's times and hash, and its number of evaluations, into the spec.
void SetTable(TeacherSpec& spec, const StepTable& table);

// The times [N+1] of the teacher's states, float64: those of the spec. Data of format 1 have none; they are
// rebuilt from the solver's name on `schedule`. Throws Error(kBadFile) if the solver was a file.
Tensor TimesOf(const TeacherSpec& spec, const NoiseSchedule& schedule);

// Throws Error(kBadFile), which names the folder and the first entry that differs, with both values.
void CheckSameSpec(const std::string& folder, const TeacherSpec& have, const TeacherSpec& want);

}  // namespace gas

#endif  // GAS_TEACHER_TEACHER_SPEC_H_
