#include "gas/core/error.h"
#include "gas/importers/dyweight.h"
#include "gas/importers/gas_student.h"
#include "gas/importers/ld3.h"
#include "gas/importers/solver_source.h"
#include "gas/io/file.h"

namespace gas {
namespace {

constexpr ImportOption kGasStudentOptions[] = {ImportOption::kNfe, ImportOption::kOrder,
                                               ImportOption::kEndTime, ImportOption::kGuidance,
                                               ImportOption::kRaw};

constexpr ImportOption kLd3Options[] = {ImportOption::kNfe, ImportOption::kGuidance, ImportOption::kBase};

constexpr ImportOption kDyWeightOptions[] = {ImportOption::kNfe, ImportOption::kGuidance};

constexpr ImportOption kDyWeightFlowOptions[] = {ImportOption::kNfe, ImportOption::kEndTime,
                                                 ImportOption::kGuidance};

constexpr SolverSource kSources[] = {
    {"gas-student", "a dictionary with ema, model and step", kGasStudentOptions, IsGasStudent,
     ReadGasStudent},
    {"ld3-times", "a dictionary with params1 and best_t_steps", kLd3Options, IsLd3, ReadLd3},
    {"dyweight", "a dictionary with predictor, a DyWeight_predictor, and loss_fn", kDyWeightOptions,
     IsDyWeight, ReadDyWeight},
    {"dyweight-flow", "a dictionary with dyweight_weights_raw and dyweight_t_scales", kDyWeightFlowOptions,
     IsDyWeightFlow, ReadDyWeightFlow},
};

}  // namespace

std::span<const SolverSource> SolverSources() { return kSources; }

const SolverSource& SolverSourceOf(const TorchFile& file) {
  std::string looked_for;
  for (const SolverSource& source : kSources) {
    if (source.recognises(file)) return source;
    looked_for +=
        (looked_for.empty() ? "" : "; ") + std::string(source.name) + ": " + std::string(source.looks_for);
  }
  Fail(Errc::kBadFile, file.name(), ": not a solver that this program reads (", looked_for, ")");
}

SolverFile ImportSolver(const SolverSource& source, const std::shared_ptr<const TorchFile>& file,
                        const ImportRequest& request) {
  ImportedSolver solver = source.read(file, request);
  nlohmann::json& imported = solver.entry.provenance["imported"];
  imported["source"] = source.name;
  imported["file"] = std::filesystem::path(file->name()).filename().string();
  imported["sha256"] = Sha256OfFile(file->name());
  SolverFile result{.schedule = solver.target.schedule,
                    .prediction = solver.target.prediction,
                    .guidance = solver.target.guidance,
                    .model = solver.target.model,
                    .model_sha256 = solver.target.model_sha256,
                    .entries = {}};
  const int64_t nfe = solver.entry.table.nfe();
  result.entries[nfe] = std::move(solver.entry);
  return result;
}

}  // namespace gas
