// The solver file that a run finds in its folder: it may add tables of further numbers of evaluations, and
// make its own again, if all else agrees. What another run has made is never replaced.
#ifndef GAS_SOLVER_FILE_TO_EXTEND_H_
#define GAS_SOLVER_FILE_TO_EXTEND_H_

#include <filesystem>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "gas/solver/solver_file.h"

namespace gas {

// A kind of run that makes solver files. Of each table its provenance keeps, under `key`, what decided it.
struct TableMaker {
  const char* key;
  const char* made;  // what it does to tables, for messages: "fitted"
};

// The file as it is, or nothing if there is none.
std::optional<SolverFile> FileToExtend(const std::filesystem::path& path);

// Throws Error(kBadFile), which names the first difference with both values, unless the table of `nfe`
// evaluations has `now` in its provenance under `key`: the maker's, or another that it keeps beside it.
void CheckMadeAlike(const SolverFile& file, int64_t nfe, const TableMaker& maker, const std::string& key,
                    const nlohmann::json& now);

// Throws Error(kBadFile) likewise, unless `file` is for the same model, schedule and guidance as `now`.
void CheckSameHeader(const SolverFile& file, const SolverFile& now, const TableMaker& maker);

}  // namespace gas

#endif  // GAS_SOLVER_FILE_TO_EXTEND_H_
