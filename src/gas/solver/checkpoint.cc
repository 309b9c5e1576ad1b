#include "gas/solver/checkpoint.h"

namespace gas {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// The first four inputs of forward are differentiable: x, t, alpha, sigma.
class Recomputed : public torch::autograd::Function<Recomputed> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& t, const Tensor& alpha,
                        const Tensor& sigma, const Condition& condition, const Denoiser* denoiser) {
    context->save_for_backward({x, t, alpha, sigma});
    context->saved_data["labels"] = condition.labels;  // not saved as a variable: it may be undefined
    context->saved_data["denoiser"] = reinterpret_cast<int64_t>(denoiser);
    return denoiser->Predict(x, {t, alpha, sigma}, condition);
  }

  static variable_list backward(AutogradContext* context, const variable_list& output_gradient) {
    const variable_list saved = context->get_saved_variables();
    variable_list inputs, wanted, gradients(6);
    for (size_t i = 0; i < 4; ++i) {
      inputs.push_back(saved[i].detach());
      if (!context->needs_input_grad(i)) continue;
      inputs[i].requires_grad_();
      wanted.push_back(inputs[i]);
    }
    if (wanted.empty()) return gradients;
    const torch::AutoGradMode with_gradient(true);
    const auto* denoiser = reinterpret_cast<const Denoiser*>(context->saved_data["denoiser"].toInt());
    const Condition condition{context->saved_data["labels"].toTensor()};
    const Tensor output = denoiser->Predict(inputs[0], {inputs[1], inputs[2], inputs[3]}, condition);
    const variable_list found =
        torch::autograd::grad({output}, wanted, {output_gradient[0]}, /*retain_graph=*/c10::nullopt,
                              /*create_graph=*/false, /*allow_unused=*/true);
    for (size_t i = 0, next = 0; i < 4; ++i) {
      if (inputs[i].requires_grad()) gradients[i] = found[next++];
    }
    return gradients;
  }
};

}  // namespace

Tensor PredictWithoutActivations(const Denoiser& denoiser, const Tensor& x, const NoiseLevel& at,
                                 const Condition& condition) {
  return Recomputed::apply(x, at.t, at.alpha, at.sigma, condition, &denoiser);
}

}  // namespace gas
