#include "support/third_party_files.h"

#include <cstdlib>
#include <vector>

#include "support/fixtures.h"

namespace gas::testing {

std::optional<std::filesystem::path> ThirdPartyFile(const std::string& name) {
  std::vector<std::filesystem::path> folders = {FixtureFolder()};
  if (const char* source = std::getenv("GAS_SOURCE_DIR")) {
    folders.push_back(std::filesystem::path(source) / ".." / "shared" / "fixtures");
  }
  for (const auto& folder : folders) {
    if (std::filesystem::exists(folder / name)) return folder / name;
  }
  return std::nullopt;
}

}  // namespace gas::testing
