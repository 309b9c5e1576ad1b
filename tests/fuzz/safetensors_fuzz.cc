#include "fuzz/fuzz.h"
#include "gas/io/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  gas::testing::ExpectReadOrRefused(gas::testing::AsFile(data, size), gas::ParseSafetensors);
  return 0;
}
