// The state of LibTorch's Adam as named tensors, so that a run can be continued exactly.
#ifndef GAS_TRAIN_ADAM_STATE_H_
#define GAS_TRAIN_ADAM_STATE_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <torch/optim/adam.h>

#include "gas/core/torch.h"

namespace gas {

// "NAME/exp_avg", "NAME/exp_avg_sq" and "NAME/step" (int64 []) for each parameter, once the optimiser has
// made a step: zeros where no gradient has reached. `parameters` maps names to the very tensors that the
// optimiser was made with.
std::map<std::string, Tensor> AdamState(const torch::optim::Adam& adam,
                                        const std::map<std::string, Tensor>& parameters);

// Puts back the state after `steps` steps. Throws Error(kBadFile), naming `file`, unless each parameter with
// entries has all three once a step was made, in the parameter's shape, and a number of steps in [0, steps].
void RestoreAdamState(torch::optim::Adam& adam, const std::map<std::string, Tensor>& parameters,
                      const std::map<std::string, Tensor>& state, int64_t steps, const std::string& file);

// The tensors of a map, in the order of their names.
std::vector<Tensor> ValuesOf(const std::map<std::string, Tensor>& named);

void SetLearningRate(torch::optim::Adam& adam, double lr);

}  // namespace gas

#endif  // GAS_TRAIN_ADAM_STATE_H_
