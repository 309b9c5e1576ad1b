// The solver file *.gas.json: everything needed to sample, for one or several numbers of evaluations
// (docs/formats.md).
#ifndef GAS_SOLVER_SOLVER_FILE_H_
#define GAS_SOLVER_SOLVER_FILE_H_

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "gas/schedule/denoiser.h"
#include "gas/schedule/guidance_range.h"
#include "gas/schedule/noise_schedule.h"
#include "gas/solver/step_table.h"

namespace gas {

// Files without spectral tables are written in the first format, which every program reads.
inline constexpr int kScalarFormat = 1, kSpectralFormat = 2;

// What a trained table keeps of its student, so that training can go on: here plain JSON and named tensors,
// which student/ makes and reads (Student::FromEntry).
struct StudentRecord {
  nlohmann::json config;                     // an object without an entry "parameters"
  std::map<std::string, Tensor> parameters;  // float64 of one to four dimensions
};

// One table, with what it came from.
struct SolverEntry {
  StepTable table;
  double t_eps = kDefaultTEps;
  std::optional<StudentRecord> student;                  // absent for tables that were not trained
  nlohmann::json provenance = nlohmann::json::object();  // loss, iterations, seeds, measured results
};

struct SolverFile {
  SchedulePtr schedule;
  PredictionType prediction = PredictionType::kData;
  double guidance = 1.0;
  // The scales that it serves, ends included, where it was made for all of a range; none: `guidance` alone.
  std::optional<GuidanceRange> guidance_range = {};
  std::string model;                       // name, for people
  std::string model_sha256;                // "" if unknown
  std::vector<int64_t> state_shape = {};   // of the states it was made on; empty if unknown
  std::map<int64_t, SolverEntry> entries;  // by network evaluations
  std::string name = "solver file";        // for messages: the file's path

  bool Serves(double scale) const;
  std::string GuidanceText() const;  // "2", or "1..3" for a range

  // Throws Error(kBadOption) that names the numbers the file has.
  const SolverEntry& at(int64_t nfe) const;
};

// Throws Error(kBadFile) naming file and entry for text that is not JSON, a newer format, missing or
// impossible values, and tables that ValidateTable refuses.
SolverFile ReadSolverFile(const std::filesystem::path& path);
SolverFile ParseSolverFile(const std::string& name, const std::string& text);

// An entry as it stands in a file, and back with the same bits. Reading throws Error(kBadFile), which begins
// with `name`.
nlohmann::json SolverEntryToJson(const SolverEntry& entry);
SolverEntry SolverEntryFromJson(const std::string& name, const nlohmann::json& json);

// Numbers are written so that reading gives the same bits. Atomic (io/file.h).
void WriteSolverFile(const std::filesystem::path& path, const SolverFile& file);
std::string FormatSolverFile(const SolverFile& file);

}  // namespace gas

#endif  // GAS_SOLVER_SOLVER_FILE_H_
