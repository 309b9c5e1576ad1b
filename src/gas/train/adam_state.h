// The state of LibTorch's Adam as named tensors, so that a run can be continued exactly.
#ifndef GAS_TRAIN_ADAM_STATE_H_
#define GAS_TRAIN_ADAM_STATE_H_

#include <map>
#include <string>
#include <vector>

#include <torch/optim/adam.h>

#include "gas/core/torch.h"

namespace gas {

// "NAME/exp_avg", "NAME/exp_avg_sq" and "NAME/step" (int64 []) for each parameter that has state.
// `parameters` maps names to the very tensors that the optimiser was made with.
std::map<std::string, Tensor> AdamState(const torch::optim::Adam& adam,
                                        const std::map<std::string, Tensor>& parameters);

// Puts such a state back. A parameter without state has made no step. Throws Error(kBadFile), naming `file`,
// when a parameter has only some of the three, or a tensor has another shape than its parameter.
void RestoreAdamState(torch::optim::Adam& adam, const std::map<std::string, Tensor>& parameters,
                      const std::map<std::string, Tensor>& state, const std::string& file = "checkpoint");

// The tensors of a map, in the order of their names.
std::vector<Tensor> ValuesOf(const std::map<std::string, Tensor>& named);

void SetLearningRate(torch::optim::Adam& adam, double lr);

}  // namespace gas

#endif  // GAS_TRAIN_ADAM_STATE_H_
