#include "fuzz/fuzz.h"
#include "gas/io/pickle.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static constexpr std::string_view kAllowed[] = {"torch._utils._rebuild_tensor_v2"};
  gas::testing::ExpectReadOrRefused(gas::testing::AsFile(data, size), [](const char* name,
                                                                         std::span<const char> file) {
    gas::ParsePickle(name, file, {.constructors = kAllowed, .unknown_classes = gas::UnknownClasses::kKeep});
  });
  return 0;
}
