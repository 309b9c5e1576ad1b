#include "fuzz/fuzz.h"
#include "gas/io/png.h"
#include "io/helpers.h"

// Chunk checksums are repaired first: nearly every mutation would stop at them.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string file(reinterpret_cast<const char*>(data), size);
  gas::testing::RepairPngChecksums(file);
  gas::testing::ExpectReadOrRefused(file, [](std::string_view name, std::span<const char> bytes) {
    gas::ParsePng(name, bytes, gas::Alpha::kOnWhite);
  });
  return 0;
}
