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
                      const std::map<std::string, Tensor>& tensors, const std::string& file) {
  for (const auto& [name, parameter] : parameters) {
    const auto moment = tensors.find(name + "/exp_avg");
    const auto square = tensors.find(name + "/exp_avg_sq");
    const auto step = tensors.find(name + "/step");
    const bool none = moment == tensors.end() && square == tensors.end() && step == tensors.end();
    if (none) continue;
    GAS_CHECK(moment != tensors.end() && square != tensors.end() && step != tensors.end(), Errc::kBadFile,
              file, ": Adam's state of ", name, " is not complete");
    GAS_CHECK(moment->second.sizes() == parameter.sizes() && square->second.sizes() == parameter.sizes() &&
                  step->second.numel() == 1,
              Errc::kBadFile, file, ": Adam's state of ", name, " does not fit a parameter of shape ",
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
