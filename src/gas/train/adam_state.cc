#include "gas/train/adam_state.h"

#include "gas/core/error.h"

namespace gas {

using torch::optim::AdamParamState;

std::map<std::string, Tensor> AdamState(const torch::optim::Adam& adam,
                                        const std::map<std::string, Tensor>& parameters) {
  std::map<std::string, Tensor> tensors;
  if (adam.state().empty()) return tensors;
  const auto put = [&](const std::string& name, const Tensor& moment, const Tensor& square, int64_t step) {
    tensors[name + "/exp_avg"] = moment;
    tensors[name + "/exp_avg_sq"] = square;
    tensors[name + "/step"] = torch::tensor(step, torch::kInt64);
  };
  for (const auto& [name, parameter] : parameters) {
    const auto found = adam.state().find(OptimizerStateKey(parameter));
    if (found == adam.state().end()) {
      const Tensor zeros = torch::zeros_like(parameter);
      put(name, zeros, zeros, 0);
      continue;
    }
    const auto& state = static_cast<const AdamParamState&>(*found->second);
    put(name, state.exp_avg(), state.exp_avg_sq(), state.step());
  }
  return tensors;
}

void RestoreAdamState(torch::optim::Adam& adam, const std::map<std::string, Tensor>& parameters,
                      const std::map<std::string, Tensor>& tensors, int64_t steps, const std::string& file) {
  for (const auto& [name, parameter] : parameters) {
    const auto moment = tensors.find(name + "/exp_avg");
    const auto square = tensors.find(name + "/exp_avg_sq");
    const auto step = tensors.find(name + "/step");
    const bool none = moment == tensors.end() && square == tensors.end() && step == tensors.end();
    // A parameter without entries may never have had a gradient.
    if (none && (steps == 0 || parameter.numel() == 0)) continue;
    GAS_CHECK(!none, Errc::kBadFile, file, ": Adam's state of ", name, " is missing");
    GAS_CHECK(moment != tensors.end() && square != tensors.end() && step != tensors.end(), Errc::kBadFile,
              file, ": Adam's state of ", name, " is not complete");
    GAS_CHECK(moment->second.sizes() == parameter.sizes() && square->second.sizes() == parameter.sizes() &&
                  step->second.numel() == 1,
              Errc::kBadFile, file, ": Adam's state of ", name, " does not fit a parameter of shape ",
              parameter.sizes());
    const int64_t made = step->second.item<int64_t>();
    GAS_CHECK(made >= 0 && made <= steps, Errc::kBadFile, file, ": Adam's state of ", name, " is that after ",
              made, " steps, must be in [0, ", steps, "]");
    auto state = std::make_unique<AdamParamState>();
    state->step(made);
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
