// The accounting of names when tensors by name become the weights of a network.
#ifndef GAS_NN_NAME_MATCH_H_
#define GAS_NN_NAME_MATCH_H_

#include <functional>
#include <map>
#include <string>

#include "gas/core/torch.h"

namespace gas::nn {

// A network's parameters and buffers by name; the tensors share memory with it.
struct NetworkTensors {
  std::map<std::string, Tensor> parameters, buffers;

  // Null if the network has none of that name.
  const Tensor* Find(const std::string& name) const;
};

NetworkTensors TensorsOf(const torch::nn::Module& network);

// Shapes of a file's tensors by their names there; the numbers belong to somebody else.
using ShapesByName = std::map<std::string, at::IntArrayRef>;

// Whether a tensor of a file can be the network's: their shapes agree, or one is a matrix and the other the
// convolution of kernel 1 that computes the same.
bool IsSameShape(at::IntArrayRef in_file, at::IntArrayRef in_network);

// For each of the network's names the file's. rename: the network's name for a tensor of the file, "" for one
// that the network does not need; null: the names agree. Throws Error(kBadFile) naming `file` and the tensor
// that is missing, unknown, there twice under one name, or of another shape.
std::map<std::string, std::string> MatchNames(const NetworkTensors& network, const ShapesByName& in_file,
                                              const std::string& file,
                                              const std::function<std::string(const std::string&)>& rename);

// Throws Error(kBadFile) naming `file` and the tensor.
void CheckFiniteWeights(const Tensor& tensor, const std::string& name, const std::string& file);

}  // namespace gas::nn

#endif  // GAS_NN_NAME_MATCH_H_
