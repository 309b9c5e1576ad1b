// The kinds of files with other people's solvers that this program reads: a file of this folder and a row
// each.
#ifndef GAS_IMPORTERS_SOLVER_SOURCE_H_
#define GAS_IMPORTERS_SOLVER_SOURCE_H_

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "gas/io/torch_file.h"
#include "gas/solver/solver_file.h"

namespace gas {

// What a solver is for, which foreign files do not say.
struct SolverTarget {
  SchedulePtr schedule;
  PredictionType prediction = PredictionType::kData;
  double t_eps = kDefaultTEps;  // where sampling ends on this schedule
  double guidance = 1;
  std::string model, model_sha256;  // "" where no model was named
};

// What only some sources read.
enum class ImportOption { kNfe, kOrder, kEndTime, kGuidance, kRaw, kBase };

struct ImportRequest {
  std::optional<int64_t> nfe, order;  // as the user knows them; another number in the file is an error
  std::optional<double> t_eps;
  std::optional<double> guidance;
  bool raw = false;  // parameters as the last iteration left them, not their average
  std::string base;  // name of the solver whose times were trained (solver/registry.h)
  // The target for an end of sampling and a guidance scale; nothing: the schedule's own end, no guidance.
  std::function<SolverTarget(std::optional<double> t_eps, std::optional<double> guidance)> target;
};

struct ImportedSolver {
  SolverTarget target;
  SolverEntry entry;
};

struct SolverSource {
  std::string_view name;
  std::string_view looks_for;             // for the message about a file that nobody knows
  std::span<const ImportOption> options;  // of ImportRequest, those that it reads
  // Whether the file is of this source, by what is in it. Never throws for files of others.
  bool (*recognises)(const TorchFile& file);
  // Throws Error(kBadFile) for what is damaged or cannot be held by a table, Error(kBadOption) for options
  // that contradict the file or are missing.
  ImportedSolver (*read)(const std::shared_ptr<const TorchFile>& file, const ImportRequest& request);
};

// In the order in which they are asked.
std::span<const SolverSource> SolverSources();

// The source of the file. Throws Error(kBadFile), listing what was looked for.
const SolverSource& SolverSourceOf(const TorchFile& file);

// A solver file with the one table that `file` holds. Its provenance has an entry "imported" that says from
// which file, by its SHA-256, and as what it was read.
SolverFile ImportSolver(const SolverSource& source, const std::shared_ptr<const TorchFile>& file,
                        const ImportRequest& request);

}  // namespace gas

#endif  // GAS_IMPORTERS_SOLVER_SOURCE_H_
