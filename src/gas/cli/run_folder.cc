#include "gas/cli/run_folder.h"

#include "gas/io/file.h"

namespace gas::cli {

void PrepareRunFolder(const std::string& folder, const Options& options) {
  MakeDirectory(folder);
  WriteFile(std::filesystem::path(folder) / "options.json", options.ToJson().dump(1) + "\n");
}

}  // namespace gas::cli
