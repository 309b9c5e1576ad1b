// What every fuzz target does: bytes in, and nothing but Error(kBadFile), or what else the reader promises,
// out.
#ifndef GAS_TESTS_FUZZ_FUZZ_H_
#define GAS_TESTS_FUZZ_FUZZ_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <initializer_list>
#include <span>

#include "gas/core/error.h"
#include "support/temp_folder.h"

namespace gas::testing {

// Another exception, or another code, ends the process, which is how libFuzzer learns of it.
template <class Parse>
void ExpectReadOrRefused(std::span<const char> file, const Parse& parse,
                         std::initializer_list<Errc> refusals = {Errc::kBadFile}) {
  try {
    parse("fuzz", file);
  } catch (const Error& e) {
    if (std::find(refusals.begin(), refusals.end(), e.code()) == refusals.end()) throw;
  }
}

inline std::span<const char> AsFile(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// For readers that take paths: the bytes as a file of this name in a folder of this process. Each call
// replaces the last one's file.
inline std::filesystem::path OnDisk(std::span<const char> file, const char* name) {
  static const TempFolder folder("fuzz");
  const std::filesystem::path path = folder.path() / name;
  std::ofstream(path, std::ios::binary).write(file.data(), static_cast<std::streamsize>(file.size()));
  return path;
}

}  // namespace gas::testing

#endif  // GAS_TESTS_FUZZ_FUZZ_H_
