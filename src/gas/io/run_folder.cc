#include "gas/io/run_folder.h"

#include "gas/core/error.h"
#include "gas/io/file.h"
#include "gas/io/temporary_files.h"

namespace gas {

namespace fs = std::filesystem;

RunFolder::RunFolder(const fs::path& folder, const std::string& verb)
    : folder_(folder), made_here_(!fs::exists(folder)) {
  MakeDirectory(folder);
  const fs::path path = folder / "run.lock";
  lock_ = LockFile::Take(path, verb);
  GAS_CHECK(lock_.has_value(), Errc::kUnavailable, folder.string(), ": ", DescribeOwner(path),
            " runs in this folder; choose another one, or, if that process has ended, remove ",
            path.string());
  RemoveAbandonedTemporaries(folder);
}

RunFolder::~RunFolder() {
  lock_.reset();
  std::error_code not_empty;
  if (made_here_) fs::remove(folder_, not_empty);
}

void RunFolder::WriteOptions(const nlohmann::json& record) const {
  WriteFile(folder_ / "options.json", record.dump(1) + "\n");
}

}  // namespace gas
