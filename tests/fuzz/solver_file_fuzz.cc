#include "fuzz/fuzz.h"
#include "gas/solver/solver_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  gas::testing::ExpectReadOrRefused(gas::testing::AsFile(data, size),
                                    [](const std::string& name, std::span<const char> file) {
                                      gas::ParseSolverFile(name, std::string(file.begin(), file.end()));
                                    });
  return 0;
}
