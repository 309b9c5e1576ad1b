// Files of other projects, which are no part of this one: tests that need them skip where they are not.
#ifndef GAS_TESTS_SUPPORT_THIRD_PARTY_FILES_H_
#define GAS_TESTS_SUPPORT_THIRD_PARTY_FILES_H_

#include <filesystem>
#include <optional>
#include <string>

namespace gas::testing {

// `name` in the folder of all fixtures (fixtures.h), else in ../shared/fixtures beside the source folder;
// nothing if it is in neither.
std::optional<std::filesystem::path> ThirdPartyFile(const std::string& name);

}  // namespace gas::testing

#define SKIP_WITHOUT_FILE(file, name) \
  if (!(file)) GTEST_SKIP() << (name) << " is not in GAS_FIXTURES, nor in ../shared/fixtures"

#endif  // GAS_TESTS_SUPPORT_THIRD_PARTY_FILES_H_
