#include "gas/nn/name_match.h"

#include "gas/core/error.h"

namespace gas::nn {
namespace {

at::IntArrayRef WithoutLastOnes(at::IntArrayRef shape) {
  while (shape.size() > 2 && shape.back() == 1) shape = shape.slice(0, shape.size() - 1);
  return shape;
}

}  // namespace

bool IsSameShape(at::IntArrayRef in_file, at::IntArrayRef in_network) {
  return WithoutLastOnes(in_file) == WithoutLastOnes(in_network);
}

const Tensor* NetworkTensors::Find(const std::string& name) const {
  for (const auto* map : {&parameters, &buffers}) {
    const auto found = map->find(name);
    if (found != map->end()) return &found->second;
  }
  return nullptr;
}

NetworkTensors TensorsOf(const torch::nn::Module& network) {
  NetworkTensors tensors;
  for (const auto& item : network.named_parameters()) tensors.parameters[item.key()] = item.value();
  for (const auto& item : network.named_buffers()) tensors.buffers[item.key()] = item.value();
  return tensors;
}

std::map<std::string, std::string> MatchNames(const NetworkTensors& network, const ShapesByName& in_file,
                                              const std::string& file,
                                              const std::function<std::string(const std::string&)>& rename) {
  std::map<std::string, std::string> matched;
  for (const auto& [tensor, shape] : in_file) {
    const std::string name = rename ? rename(tensor) : tensor;
    if (name.empty()) continue;
    const Tensor* target = network.Find(name);
    GAS_CHECK(target != nullptr, Errc::kBadFile, file, ": tensor ", tensor, " is unknown to the network");
    GAS_CHECK(IsSameShape(shape, target->sizes()), Errc::kBadFile, file, ": tensor ", tensor, " has shape ",
              shape, ", the network needs ", target->sizes());
    GAS_CHECK(matched.emplace(name, tensor).second, Errc::kBadFile, file, ": tensors ", matched[name],
              " and ", tensor, " are both the network's ", name);
  }
  for (const auto* map : {&network.parameters, &network.buffers}) {
    for (const auto& [name, target] : *map) {
      GAS_CHECK(matched.contains(name), Errc::kBadFile, file, ": tensor ", name, " is missing");
    }
  }
  return matched;
}

void CheckFiniteWeights(const Tensor& tensor, const std::string& name, const std::string& file) {
  GAS_CHECK(!tensor.is_floating_point() || tensor.isfinite().all().item<bool>(), Errc::kBadFile, file,
            ": tensor ", name, " has entries that are not finite");
}

}  // namespace gas::nn
