// What every fuzz target does: bytes in, and nothing but Error(kBadFile) out.
#ifndef GAS_TESTS_FUZZ_FUZZ_H_
#define GAS_TESTS_FUZZ_FUZZ_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "gas/core/error.h"

namespace gas::testing {

// Another exception, or another code, ends the process, which is how libFuzzer learns of it.
template <class Parse>
void ExpectReadOrRefused(std::span<const char> file, const Parse& parse) {
  try {
    parse("fuzz", file);
  } catch (const Error& e) {
    if (e.code() != Errc::kBadFile) throw;
  }
}

inline std::span<const char> AsFile(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace gas::testing

#endif  // GAS_TESTS_FUZZ_FUZZ_H_
