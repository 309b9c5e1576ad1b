#include "fuzz/fuzz.h"
#include "gas/io/json.h"
#include "gas/io/sharded_safetensors.h"
#include "io/valid_files.h"

// The index of shards of safetensors, two of which lie beside it, and each tensor that it names.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const bool shards_are_there = [] {
    const std::string shard = gas::testing::ValidSafetensors().front();
    for (const char* name : {"a.safetensors", "b.safetensors"}) gas::testing::OnDisk(shard, name);
    return true;
  }();
  (void)shards_are_there;
  gas::testing::ExpectReadOrRefused(
      gas::testing::AsFile(data, size), [](const char* name, std::span<const char> file) {
        const auto json = gas::ParseJson(name, {file.data(), file.size()});
        const auto index = gas::testing::OnDisk(file, "model.safetensors.index.json");
        const gas::ShardedSafetensors tensors(index, json);
        for (const auto& item : tensors.tensors()) tensors.View(item.first);
      });
  return 0;
}
