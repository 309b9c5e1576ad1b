#include "fuzz/fuzz.h"
#include "fuzz/names_and_shapes.h"
#include "gas/io/json.h"
#include "gas/models/adm/config.h"

// {"tensors": {NAME: SHAPE}, "card": FLAGS}: the configuration that names, shapes and card make together.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  gas::testing::ExpectReadOrRefused(
      gas::testing::AsFile(data, size), [](const char* name, std::span<const char> file) {
        const auto json = gas::ParseJson(name, {file.data(), file.size()});
        if (!json.is_object() || !json.contains("tensors") || !json.contains("card")) return;
        const gas::testing::NamesAndShapes names(json["tensors"]);
        const std::string card = json["card"].dump();
        const auto path = gas::testing::OnDisk(card, "card.json");
        if (gas::adm::HasAdmNames(names)) gas::adm::FlagsOf(gas::adm::ConfigOf(names, path));
      });
  return 0;
}
