#include "fuzz/fuzz.h"
#include "gas/io/idx.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  gas::testing::ExpectReadOrRefused(gas::testing::AsFile(data, size), gas::ParseIdx);
  return 0;
}
