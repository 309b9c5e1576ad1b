// The solver file that a run of the fit leaves, and goes on with: tables of further numbers of evaluations
// are added if all else agrees.
#ifndef GAS_FIT_FIT_FILE_H_
#define GAS_FIT_FIT_FILE_H_

#include <filesystem>
#include <optional>

#include <nlohmann/json.hpp>

#include "gas/solver/solver_file.h"

namespace gas {

// The entry of an entry's provenance that has the options which decide its table, and that of its teacher.
inline constexpr const char* kFitDecides = "fit";
inline constexpr const char* kFitTeacher = "teacher";

// The file as it is, or nothing. Throws Error(kBadFile), which names the first difference with both values,
// if one of its tables was made with other options than `decides`.
std::optional<SolverFile> FileToGoOnWith(const std::filesystem::path& path, const nlohmann::json& decides);

// Throws Error(kBadFile) likewise, unless `file` is for the same model, schedule and guidance as `now`, and
// its tables were fitted to the same teacher's trajectories.
void CheckSameFit(const SolverFile& file, const SolverFile& now, const nlohmann::json& teacher);

}  // namespace gas

#endif  // GAS_FIT_FIT_FILE_H_
