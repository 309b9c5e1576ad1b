#include "support/lpips.h"

#include "gas/nn/state_dict.h"

namespace gas::testing {

LpipsTensors RandomLpips(TrunkKind kind) {
  torch::manual_seed(3);
  Lpips network(kind);
  LpipsTensors tensors;
  for (const auto& [name, value] : StateDict(network.trunk())) {
    // The activations keep their size from layer to layer (He et al. 2015).
    const double fan_in = static_cast<double>(value.dim() > 1 ? value[0].numel() : 100);
    tensors.trunk[name] = torch::randn(value.sizes()) * std::sqrt(2 / fan_in);
  }
  const std::vector<int64_t>& channels = network.trunk().tap_channels();
  for (size_t l = 0; l < channels.size(); ++l) {
    tensors.heads["lin" + std::to_string(l) + ".model.1.weight"] = torch::rand({1, channels[l], 1, 1});
  }
  return tensors;
}

}  // namespace gas::testing
