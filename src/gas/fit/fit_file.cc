#include "gas/fit/fit_file.h"

#include "gas/core/error.h"

namespace gas {
namespace {

using Json = nlohmann::json;

// Entries that only one side has are null on the other.
void CheckSame(const std::string& file, const Json& was, const Json& is) {
  Json keys = was;
  keys.update(is);
  for (const auto& [key, unused] : keys.items()) {
    const Json old_value = was.value(key, Json()), new_value = is.value(key, Json());
    GAS_CHECK(old_value == new_value, Errc::kBadFile, file, ": has tables fitted with ", key, " = ",
              old_value.dump(), ", this run has ", new_value.dump(), "; choose another folder");
  }
}

// What was kept of each table under `key`, which must be the same as now.
void CheckEntries(const SolverFile& file, const char* key, const Json& now) {
  for (const auto& [nfe, entry] : file.entries) {
    const Json& provenance = entry.provenance;
    GAS_CHECK(provenance.contains(key) && provenance[key].is_object(), Errc::kBadFile, file.name,
              ": its table of ", nfe,
              " evaluations does not say what it was fitted with; choose another folder");
    CheckSame(file.name, provenance[key], now);
  }
}

Json HeaderOf(const SolverFile& file) {
  return {{"model.sha256", file.model_sha256},
          {"prediction", kPredictionTypeNames.NameOf(file.prediction)},
          {"guidance", file.GuidanceText()},
          {"schedule", file.schedule->ToJson()}};
}

}  // namespace

std::optional<SolverFile> FileToGoOnWith(const std::filesystem::path& path, const Json& decides) {
  if (!std::filesystem::exists(path)) return std::nullopt;
  const SolverFile file = ReadSolverFile(path);
  CheckEntries(file, kFitDecides, decides);
  return file;
}

void CheckSameFit(const SolverFile& file, const SolverFile& now, const Json& teacher) {
  CheckSame(file.name, HeaderOf(file), HeaderOf(now));
  CheckEntries(file, kFitTeacher, teacher);
}

}  // namespace gas
