// The one way in which the weights of a file reach a network.
#ifndef GAS_NN_WEIGHTS_H_
#define GAS_NN_WEIGHTS_H_

#include <functional>
#include <optional>
#include <string>

#include "gas/core/torch.h"
#include "gas/io/tensor_file.h"

namespace gas::nn {

struct WeightOptions {
  // The network's name for a tensor of the file; "" for one that the network does not need. Null: the names
  // agree.
  std::function<std::string(const std::string& in_file)> rename = nullptr;
  torch::ScalarType dtype = torch::kFloat32;
  torch::Device device = torch::kCPU;
};

// Gives each parameter and buffer of `network`, which may be a skeleton (nn/skeleton.h), the tensor of its
// name: converted to `dtype`, convolution weights channels last, asking for no gradient. All names and shapes
// are compared before the first tensor is read; tensors are then read one at a time, so that opening a model
// needs little more memory than its weights. Throws Error(kBadFile) naming the file and the tensor that is
// missing, unknown, there twice under one name, of another shape, or not finite.
void LoadWeights(torch::nn::Module& network, const TensorFile& file, const WeightOptions& options = {});

// The number of trained numbers of a network, also of a skeleton.
int64_t ParameterCount(const torch::nn::Module& network);

}  // namespace gas::nn

#endif  // GAS_NN_WEIGHTS_H_
