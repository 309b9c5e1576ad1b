#include "fuzz/fuzz.h"
#include "gas/models/prompts.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  gas::testing::ExpectReadOrRefused(gas::testing::AsFile(data, size),
                                    [](const char*, std::span<const char> file) {
                                      gas::PromptList::Read(gas::testing::OnDisk(file, "prompts.txt"));
                                    });
  return 0;
}
