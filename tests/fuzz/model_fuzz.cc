#include "fuzz/fuzz.h"
#include "gas/models/families.h"

// A model file of any family. The network is not run. kBadOption: the end time and the noise levels that the
// network supports leave nothing to sample.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  gas::testing::ExpectReadOrRefused(
      gas::testing::AsFile(data, size),
      [](const std::string&, std::span<const char> file) {
        const gas::ModelFiles files(gas::testing::OnDisk(file, "model").string());
        gas::FamilyOf(files).open(files, {});
      },
      {gas::Errc::kBadFile, gas::Errc::kBadOption});
  return 0;
}
