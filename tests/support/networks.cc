#include "support/networks.h"

#include "gas/models/state_dict.h"

namespace gas::testing {

std::map<std::string, Tensor> TensorsBelow(const Fixture& fixture, const std::string& prefix) {
  std::map<std::string, Tensor> found;
  for (const auto& [name, info] : fixture.json().at("tensors").items()) {
    if (name.starts_with(prefix)) found[name.substr(prefix.size())] = fixture.at(name);
  }
  return found;
}

std::shared_ptr<edm::Precond> ReferenceNetwork(const Fixture& fixture) {
  const auto config = edm::PrecondConfigFromJson(fixture.json().at("class_name"), fixture.json().at("init_kwargs"));
  auto network = std::make_shared<edm::Precond>(config);
  LoadStateDict(*network, TensorsBelow(fixture, "weights/"), "fixture");
  network->eval();
  return network;
}

}  // namespace gas::testing
