// A solver file as a folder for another program.
#ifndef GAS_EXPORT_EXPORT_SOLVER_H_
#define GAS_EXPORT_EXPORT_SOLVER_H_

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "gas/core/enum_names.h"
#include "gas/solver/solver_file.h"

namespace gas {

enum class ExportTarget { kDiffusers, kKDiffusion, kComfyUi, kSdCpp, kC, kJson };
inline constexpr auto kExportTargetNames = NamesOf<ExportTarget>(
    "export.to", {{ExportTarget::kDiffusers, "diffusers", "a scheduler"},
                  {ExportTarget::kKDiffusion, "k-diffusion", "a sampler"},
                  {ExportTarget::kComfyUi, "comfyui", "a node"},
                  {ExportTarget::kSdCpp, "sd.cpp", "noise levels for stable-diffusion.cpp"},
                  {ExportTarget::kC, "c", "two files of C99"},
                  {ExportTarget::kJson, "json", "the solver file alone"}});

// Whether the target runs whole tables; the others take a part of one, and have to be asked to.
bool RunsTables(ExportTarget target);

// The file with the table for `nfe` evaluations alone, or with all that it has. Throws Error(kBadOption) for
// a number that it lacks.
SolverFile TablesToExport(const SolverFile& file, std::optional<int64_t> nfe);

struct ExportedFile {
  std::string name;
  std::string text;
};

struct ExportedSolver {
  std::vector<ExportedFile> files;
  std::vector<std::string> lost;  // what of the solver the target does not have
};

struct ExportOptions {
  ExportTarget target = ExportTarget::kJson;
  std::optional<int64_t> nfe;  // the table to take; none: all that the file has
  bool approximate = false;    // of targets that do not run tables: what is lost is no error
};

// Throws Error(kBadOption) for a number of evaluations that the file lacks, a schedule that the target's
// models do not have, and, unless `approximate`, for what the target cannot express, which it lists.
ExportedSolver ExportSolver(const SolverFile& file, const ExportOptions& options);

// Throws Error(kBadOption) for a folder that has something in it: nothing of anyone's is overwritten.
void WriteExport(const std::filesystem::path& folder, const ExportedSolver& solver);

}  // namespace gas

#endif  // GAS_EXPORT_EXPORT_SOLVER_H_
