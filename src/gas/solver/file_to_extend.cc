#include "gas/solver/file_to_extend.h"

#include "gas/core/error.h"
#include "gas/core/shown.h"

namespace gas {
namespace {

using Json = nlohmann::json;

// Entries that only one side has are null on the other.
void CheckSame(const std::string& file, const TableMaker& maker, const Json& was, const Json& is) {
  Json keys = was;
  keys.update(is);
  for (const auto& [key, unused] : keys.items()) {
    const Json old_value = was.value(key, Json()), new_value = is.value(key, Json());
    GAS_CHECK(old_value == new_value, Errc::kBadFile, file, ": has tables ", maker.made, " with ",
              Printable(key), " = ", Shown(old_value), ", this run has ", Shown(new_value),
              "; choose another folder");
  }
}

Json HeaderOf(const SolverFile& file) {
  return {{"model.sha256", file.model_sha256},
          {"prediction", kPredictionTypeNames.NameOf(file.prediction)},
          {"guidance", file.GuidanceText()},
          {"schedule", file.schedule->ToJson()}};
}

}  // namespace

std::optional<SolverFile> FileToExtend(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return std::nullopt;
  return ReadSolverFile(path);
}

void CheckMadeAlike(const SolverFile& file, int64_t nfe, const TableMaker& maker, const std::string& key,
                    const Json& now) {
  const Json& provenance = file.at(nfe).provenance;
  GAS_CHECK(provenance.contains(key) && provenance[key].is_object(), Errc::kBadFile, file.name,
            ": its table of ", nfe, " evaluations does not say what it was ", maker.made,
            " with; choose another folder");
  CheckSame(file.name, maker, provenance[key], now);
}

void CheckSameHeader(const SolverFile& file, const SolverFile& now, const TableMaker& maker) {
  CheckSame(file.name, maker, HeaderOf(file), HeaderOf(now));
}

}  // namespace gas
