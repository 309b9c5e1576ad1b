#include "fuzz/fuzz.h"
#include "fuzz/names_and_shapes.h"
#include "gas/io/json.h"
#include "gas/models/dit/card.h"

// {"tensors": {NAME: SHAPE}, "card": KEYS}: the network that names and shapes make, and what the card says of
// it.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  gas::testing::ExpectReadOrRefused(
      gas::testing::AsFile(data, size), [](const char* name, std::span<const char> file) {
        const auto json = gas::ParseJson(name, {file.data(), file.size()});
        if (!json.is_object() || !json.contains("tensors") || !json.contains("card")) return;
        const gas::testing::NamesAndShapes names(json["tensors"]);
        const std::string card = json["card"].dump();
        const auto path = gas::testing::OnDisk(card, "card.json");
        if (!gas::dit::HasNames(names)) return;
        gas::dit::Config config{.network = gas::dit::NetworkOfWeights(names)};
        const gas::dit::Card says = gas::dit::ReadCard(path, config.network);
        config.network.heads = says.heads.value_or(config.network.heads);
        gas::dit::Validate(name, config.network);
        gas::dit::SetClasses(name, says.classes, config);
        gas::dit::FlagsOf(config);
      });
  return 0;
}
