#include "gas/nn/state_dict.h"

#include "gas/nn/name_match.h"

namespace gas {

void LoadStateDict(torch::nn::Module& module, const std::map<std::string, Tensor>& tensors,
                   const std::string& file) {
  torch::NoGradGuard no_grad;
  const nn::NetworkTensors targets = nn::TensorsOf(module);
  nn::ShapesByName shapes;
  for (const auto& [name, tensor] : tensors) shapes[name] = tensor.sizes();
  for (const auto& [name, in_file] : nn::MatchNames(targets, shapes, file, /*rename=*/nullptr)) {
    nn::CheckFiniteWeights(tensors.at(in_file), in_file, file);
    const Tensor target = *targets.Find(name);
    Tensor(target).copy_(tensors.at(in_file).reshape(target.sizes()));
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
