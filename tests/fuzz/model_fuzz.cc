#include "fuzz/fuzz.h"
#include "gas/models/families.h"

// A model file of any family. The network is not run.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  gas::testing::ExpectReadOrRefused(
      gas::testing::AsFile(data, size), [](const std::string&, std::span<const char> file) {
        const gas::ModelFiles files(gas::testing::OnDisk(file, "model").string());
        gas::FamilyOf(files).open(files, {});
      });
  return 0;
}
