#include "gas/nn/weights.h"

#include "gas/nn/name_match.h"

namespace gas::nn {
namespace {

ShapesByName ShapesOf(const TensorFile& file) {
  ShapesByName shapes;
  for (const auto& [name, info] : file.tensors()) shapes[name] = info.shape;
  return shapes;
}

// A tensor of the file, copied to where and how it is needed, in the network's shape.
Tensor Taken(const TensorFile& file, const std::string& name, at::IntArrayRef shape,
             const WeightOptions& options) {
  const Tensor view = file.View(name).view(shape);
  CheckFiniteWeights(view, name, file.name());
  const auto layout = view.dim() == 4 ? torch::MemoryFormat::ChannelsLast : torch::MemoryFormat::Contiguous;
  return view.to(torch::TensorOptions(options.device).dtype(options.dtype), /*non_blocking=*/false,
                 /*copy=*/true, layout);
}

}  // namespace

void LoadWeights(torch::nn::Module& network, const TensorFile& file, const WeightOptions& options) {
  torch::NoGradGuard no_grad;
  NetworkTensors targets = TensorsOf(network);
  const auto in_file = MatchNames(targets, ShapesOf(file), file.name(), options.rename);
  for (auto& [name, parameter] : targets.parameters) {
    parameter.set_data(Taken(file, in_file.at(name), parameter.sizes().vec(), options));
    parameter.requires_grad_(false);
  }
  for (auto& [name, buffer] : targets.buffers) {
    buffer.set_data(Taken(file, in_file.at(name), buffer.sizes().vec(), options));
  }
}

int64_t ParameterCount(const torch::nn::Module& network) {
  int64_t count = 0;
  for (const Tensor& parameter : network.parameters()) count += parameter.numel();
  return count;
}

}  // namespace gas::nn
