#include "fuzz/fuzz.h"
#include "gas/io/yaml.h"
#include "gas/models/compvis/config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  gas::testing::ExpectReadOrRefused(
      gas::testing::AsFile(data, size), [](const char* name, std::span<const char> file) {
        gas::compvis::ConfigFromJson(name, gas::ParseYaml(name, {file.data(), file.size()}));
      });
  return 0;
}
