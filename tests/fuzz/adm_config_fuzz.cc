#include "fuzz/fuzz.h"
#include "gas/io/json.h"
#include "gas/models/adm/config.h"

namespace {

// Names and shapes alone, as the header of a file has them.
class Names : public gas::TensorFile {
 public:
  explicit Names(const nlohmann::json& shapes) {
    name_ = "names";
    for (const auto& [name, shape] : shapes.items()) {
      gas::TensorInfo info{torch::kFloat32, {}};
      for (const auto& size : shape) info.shape.push_back(gas::WholeNumber(name, size, 0, INT64_MAX));
      tensors_[name] = std::move(info);
    }
  }
  torch::Tensor View(const std::string&) const override { return {}; }
};

}  // namespace

// {"tensors": {NAME: SHAPE}, "card": FLAGS}: the configuration that names, shapes and card make together.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  gas::testing::ExpectReadOrRefused(
      gas::testing::AsFile(data, size), [](const char* name, std::span<const char> file) {
        const auto json = gas::ParseJson(name, {file.data(), file.size()});
        if (!json.is_object() || !json.contains("tensors") || !json.contains("card")) return;
        const Names names(json["tensors"]);
        const std::string card = json["card"].dump();
        const auto path = gas::testing::OnDisk(card, "card.json");
        if (gas::adm::HasAdmNames(names)) gas::adm::FlagsOf(gas::adm::ConfigOf(names, path));
      });
  return 0;
}
