#include "support/networks.h"

#include <algorithm>
#include <filesystem>

#include "gas/models/edm/edm_family.h"
#include "gas/nn/state_dict.h"

namespace gas::testing {

std::map<std::string, Tensor> TensorsBelow(const Fixture& fixture, const std::string& prefix) {
  std::map<std::string, Tensor> found;
  for (const auto& [name, info] : fixture.json().at("tensors").items()) {
    if (name.starts_with(prefix)) found[name.substr(prefix.size())] = fixture.at(name);
  }
  return found;
}

std::vector<std::string> ReferenceNetworkNames() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(FixtureFolder() / "edm_networks")) {
    const std::string stem = entry.path().stem().string();
    if (entry.path().extension() == ".json" && stem != "unet_blocks") names.push_back(stem);
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::shared_ptr<edm::Precond> ReferenceNetwork(const Fixture& fixture) {
  const auto config =
      edm::PrecondConfigFromJson(fixture.json().at("class_name"), fixture.json().at("init_kwargs"));
  auto network = std::make_shared<edm::Precond>(config);
  LoadStateDict(*network, TensorsBelow(fixture, "weights/"), "fixture");
  network->eval();
  return network;
}

std::shared_ptr<edm::Precond> PickledNetwork(const std::string& name) {
  const ModelFiles files((FixtureFolder() / "edm_networks" / (name + ".pkl")).string());
  auto network = std::make_shared<edm::Precond>(edm::ConfigOf(files));
  edm::LoadEdmWeights(*network, files);
  network->eval();
  return network;
}

}  // namespace gas::testing
