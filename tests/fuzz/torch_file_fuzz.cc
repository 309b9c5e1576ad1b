#include "fuzz/fuzz.h"
#include "gas/io/torch_tensors.h"

// A file of any of PyTorch's formats, and each of its tensors.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  gas::testing::ExpectReadOrRefused(
      gas::testing::AsFile(data, size), [](const std::string&, std::span<const char> file) {
        const auto path = gas::testing::OnDisk(file, "file.pt");
        const gas::TorchTensors tensors(std::make_shared<gas::TorchFile>(path, gas::UnknownClasses::kKeep));
        for (const auto& [name, info] : tensors.tensors()) tensors.View(name);
      });
  return 0;
}
