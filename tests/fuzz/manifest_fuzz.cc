#include "fuzz/fuzz.h"
#include "gas/teacher/manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  gas::testing::ExpectReadOrRefused(
      gas::testing::AsFile(data, size), [](const std::string&, std::span<const char> file) {
        gas::Manifest::Read(gas::testing::OnDisk(file, "manifest.json").parent_path());
      });
  return 0;
}
