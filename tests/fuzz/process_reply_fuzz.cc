#include "fuzz/fuzz.h"
#include "gas/models/process/process_connection.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  gas::testing::ExpectReadOrRefused(gas::testing::AsFile(data, size),
                                    [](const std::string& name, std::span<const char> line) {
                                      gas::ErrorInReply(name, std::string_view(line.data(), line.size()), 12);
                                    });
  return 0;
}
