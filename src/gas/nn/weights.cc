#include "gas/nn/weights.h"

#include "gas/core/error.h"

namespace gas::nn {
namespace {

// The network's parameters and buffers by name; the tensors share memory with it.
struct Targets {
  std::map<std::string, Tensor> parameters, buffers;

  const Tensor* Find(const std::string& name) const {
    for (const auto* map : {&parameters, &buffers}) {
      const auto found = map->find(name);
      if (found != map->end()) return &found->second;
    }
    return nullptr;
  }
};

Targets TargetsOf(const torch::nn::Module& network) {
  Targets targets;
  for (const auto& item : network.named_parameters()) targets.parameters[item.key()] = item.value();
  for (const auto& item : network.named_buffers()) targets.buffers[item.key()] = item.value();
  return targets;
}

// For each of the network's names the file's. Every name of either side is accounted for, and shapes agree.
std::map<std::string, std::string> Matched(const Targets& targets, const TensorFile& file,
                                           const WeightOptions& options) {
  std::map<std::string, std::string> in_file;
  for (const auto& [tensor, info] : file.tensors()) {
    const std::string name = options.rename ? options.rename(tensor) : tensor;
    if (name.empty()) continue;
    const Tensor* target = targets.Find(name);
    GAS_CHECK(target != nullptr, Errc::kBadFile, file.name(), ": tensor ", tensor,
              " is unknown to the network");
    GAS_CHECK(at::IntArrayRef(info.shape) == target->sizes(), Errc::kBadFile, file.name(), ": tensor ",
              tensor, " has shape ", at::IntArrayRef(info.shape), ", the network needs ", target->sizes());
    GAS_CHECK(in_file.emplace(name, tensor).second, Errc::kBadFile, file.name(), ": tensors ", in_file[name],
              " and ", tensor, " are both the network's ", name);
  }
  for (const auto* map : {&targets.parameters, &targets.buffers}) {
    for (const auto& [name, target] : *map) {
      GAS_CHECK(in_file.count(name) == 1, Errc::kBadFile, file.name(), ": tensor ", name, " is missing");
    }
  }
  return in_file;
}

// A tensor of the file, copied to where and how it is needed.
Tensor Taken(const TensorFile& file, const std::string& name, const WeightOptions& options) {
  const Tensor view = file.View(name);
  GAS_CHECK(!view.is_floating_point() || view.isfinite().all().item<bool>(), Errc::kBadFile, file.name(),
            ": tensor ", name, " has entries that are not finite");
  const auto layout = view.dim() == 4 ? torch::MemoryFormat::ChannelsLast : torch::MemoryFormat::Contiguous;
  return view.to(torch::TensorOptions(options.device).dtype(options.dtype), /*non_blocking=*/false,
                 /*copy=*/true, layout);
}

}  // namespace

void LoadWeights(torch::nn::Module& network, const TensorFile& file, const WeightOptions& options) {
  torch::NoGradGuard no_grad;
  Targets targets = TargetsOf(network);
  const auto in_file = Matched(targets, file, options);
  for (auto& [name, parameter] : targets.parameters) {
    parameter.set_data(Taken(file, in_file.at(name), options));
    parameter.requires_grad_(false);
  }
  for (auto& [name, buffer] : targets.buffers) buffer.set_data(Taken(file, in_file.at(name), options));
}

int64_t ParameterCount(const torch::nn::Module& network) {
  int64_t count = 0;
  for (const Tensor& parameter : network.parameters()) count += parameter.numel();
  return count;
}

}  // namespace gas::nn
