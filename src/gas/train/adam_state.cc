#include "gas/train/adam_state.h"

#include "gas/core/error.h"

namespace gas {

using torch::optim::AdamParamState;

std::map<std::string, Tensor> AdamState(const torch::optim::Adam& adam,
                                        const std::map<std::string, Tensor>& parameters) {
  std::map<std::string, Tensor> tensors;
  for (const auto& [name, parameter] : parameters) {
    const auto found = adam.state().find(OptimizerStateKey(parameter));
    if (found == adam.state().end()) continue;
    const auto& state = static_cast<const AdamParamState&>(*found->second);
    tensors[name + "/exp_avg"] = state.exp_avg();
    tensors[name + "/exp_avg_sq"] = state.exp_avg_sq();
    tensors[name + "/step"] = torch::tensor(state.step(), torch::kInt64);
  }
  return tensors;
}

void RestoreAdamState(torch::optim::Adam& adam, const std::map<std::string, Tensor>& parameters,
                      const std::map<std::string, Tensor>& tensors) {
  for (const auto& [name, parameter] : parameters) {
    const auto moment = tensors.find(name + "/exp_avg");
    if (moment == tensors.end()) continue;
    const auto square = tensors.find(name + "/exp_avg_sq");
    const auto step = tensors.find(name + "/step");
    GAS_CHECK(square != tensors.end() && step != tensors.end() &&
                  moment->second.sizes() == parameter.sizes() && square->second.sizes() == parameter.sizes(),
              Errc::kBadFile, "checkpoint: Adam's state of ", name, " does not fit a parameter of shape ",
              parameter.sizes());
    auto state = std::make_unique<AdamParamState>();
    state->step(step->second.item<int64_t>());
    state->exp_avg(moment->second.to(parameter.options()).clone());
    state->exp_avg_sq(square->second.to(parameter.options()).clone());
    adam.state()[OptimizerStateKey(parameter)] = std::move(state);
  }
}

std::vector<Tensor> ValuesOf(const std::map<std::string, Tensor>& named) {
  std::vector<Tensor> values;
  for (const auto& [name, value] : named) values.push_back(value);
  return values;
}

void SetLearningRate(torch::optim::Adam& adam, double lr) {
  for (auto& group : adam.param_groups()) static_cast<torch::optim::AdamOptions&>(group.options()).lr(lr);
}

}  // namespace gas
