#include "gas/nn/state_dict.h"

#include "gas/core/error.h"

namespace gas {

void LoadStateDict(torch::nn::Module& module, const std::map<std::string, Tensor>& tensors,
                   const std::string& file) {
  torch::NoGradGuard no_grad;
  std::map<std::string, Tensor> targets;
  for (const auto& item : module.named_parameters()) targets[item.key()] = item.value();
  for (const auto& item : module.named_buffers()) targets[item.key()] = item.value();
  for (auto& [name, target] : targets) {
    const auto found = tensors.find(name);
    GAS_CHECK(found != tensors.end(), Errc::kBadFile, file, ": tensor ", name, " is missing");
    GAS_CHECK(found->second.sizes() == target.sizes(), Errc::kBadFile, file, ": tensor ", name, " has shape ",
              found->second.sizes(), ", the network needs ", target.sizes());
    GAS_CHECK(found->second.isfinite().all().item<bool>(), Errc::kBadFile, file, ": tensor ", name,
              " has entries that are not finite");
    target.copy_(found->second);
  }
  for (const auto& [name, tensor] : tensors) {
    GAS_CHECK(targets.count(name) == 1, Errc::kBadFile, file, ": tensor ", name,
              " is unknown to the network");
  }
}

std::map<std::string, Tensor> StateDict(const torch::nn::Module& module) {
  std::map<std::string, Tensor> tensors;
  for (const auto& item : module.named_parameters()) tensors[item.key()] = item.value().detach();
  for (const auto& item : module.named_buffers()) tensors[item.key()] = item.value().detach();
  return tensors;
}

std::map<std::string, Tensor> NamedParameters(const torch::nn::Module& module) {
  std::map<std::string, Tensor> tensors;
  for (const auto& item : module.named_parameters()) tensors[item.key()] = item.value();
  return tensors;
}

void UseChannelsLast(torch::nn::Module& module) {
  torch::NoGradGuard no_grad;
  for (auto& parameter : module.parameters()) {
    if (parameter.dim() == 4) parameter.set_data(parameter.contiguous(torch::MemoryFormat::ChannelsLast));
  }
}

}  // namespace gas
