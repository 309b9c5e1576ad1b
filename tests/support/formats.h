// Fixtures that are part of the source, whatever folder GAS_FIXTURES names: among them files of each version
// of our own formats (tests/fixtures/formats/README.md).
#ifndef GAS_TESTS_SUPPORT_FORMATS_H_
#define GAS_TESTS_SUPPORT_FORMATS_H_

#include <cstdlib>
#include <filesystem>

#include "gas/core/error.h"

namespace gas::testing {

inline std::filesystem::path SourceFixtureFolder() {
  const char* source = std::getenv("GAS_SOURCE_DIR");
  GAS_CHECK(source != nullptr, Errc::kBadOption, "GAS_SOURCE_DIR is not set");
  return std::filesystem::path(source) / "tests" / "fixtures";
}

inline std::filesystem::path FormatFolder() { return SourceFixtureFolder() / "formats"; }

}  // namespace gas::testing

#endif  // GAS_TESTS_SUPPORT_FORMATS_H_
