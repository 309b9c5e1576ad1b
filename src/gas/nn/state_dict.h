// Weights of a module by name.
#ifndef GAS_NN_STATE_DICT_H_
#define GAS_NN_STATE_DICT_H_

#include <map>
#include <string>

#include "gas/core/torch.h"

namespace gas {

// Copies state-dict tensors into a module's parameters and buffers; names and shapes must match exactly.
// Throws Error(kBadFile) naming `file` and the first tensor that is missing, unknown, of another shape, or
// not finite.
void LoadStateDict(torch::nn::Module& module, const std::map<std::string, Tensor>& tensors,
                   const std::string& file);

// Parameters and buffers, detached, sharing memory with the module.
std::map<std::string, Tensor> StateDict(const torch::nn::Module& module);

// Parameters alone, attached.
std::map<std::string, Tensor> NamedParameters(const torch::nn::Module& module);

// Lays convolution weights out channels last, the fast layout on CPUs and on GPUs with tensor cores.
void UseChannelsLast(torch::nn::Module& module);

}  // namespace gas

#endif  // GAS_NN_STATE_DICT_H_
