#include "fuzz/fuzz.h"
#include "gas/io/yaml.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  gas::testing::ExpectReadOrRefused(gas::testing::AsFile(data, size),
                                    [](const char* name, std::span<const char> file) {
                                      // What is read can be written as JSON.
                                      (void)gas::ParseYaml(name, {file.data(), file.size()}).dump();
                                    });
  return 0;
}
