#include "fuzz/fuzz.h"
#include "gas/io/yaml.h"
#include "gas/models/ldm/ldm_config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  gas::testing::ExpectReadOrRefused(
      gas::testing::AsFile(data, size), [](const char* name, std::span<const char> file) {
        gas::ldm::LdmConfigFromJson(name, gas::ParseYaml(name, {file.data(), file.size()}));
      });
  return 0;
}
