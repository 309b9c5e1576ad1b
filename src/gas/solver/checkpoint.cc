#include "gas/solver/checkpoint.h"

namespace gas {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// A condition is kept beside the variables: labels may be undefined, and nothing in it has a gradient here.
void Save(const Condition& condition, AutogradContext* context) {
  c10::Dict<std::string, Tensor> tensors;
  for (const auto& [name, tensor] : condition.tensors) tensors.insert(name, tensor);
  context->saved_data["labels"] = condition.labels;
  context->saved_data["tensors"] = tensors;
}

Condition SavedCondition(AutogradContext* context) {
  Condition condition;
  condition.labels = context->saved_data["labels"].toTensor();
  for (const auto& entry : context->saved_data["tensors"].toGenericDict()) {
    condition.tensors[entry.key().toStringRef()] = entry.value().toTensor();
  }
  return condition;
}

// The first four inputs of forward are differentiable: x, t, alpha, sigma.
class Recomputed : public torch::autograd::Function<Recomputed> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& t, const Tensor& alpha,
                        const Tensor& sigma, const Condition& condition, const Denoiser* denoiser) {
    context->save_for_backward({x, t, alpha, sigma});
    Save(condition, context);
    context->saved_data["denoiser"] = reinterpret_cast<int64_t>(denoiser);
    return denoiser->Predict(x, {t, alpha, sigma}, condition);
  }

  static variable_list backward(AutogradContext* context, const variable_list& output_gradient) {
    const variable_list saved = context->get_saved_variables();
    variable_list inputs;
    variable_list wanted;         // those inputs whose gradients are asked for
    std::vector<size_t> indices;  // of these among the inputs
    for (size_t i = 0; i < saved.size(); ++i) {
      inputs.push_back(saved[i].detach());
      if (!context->needs_input_grad(i)) continue;
      inputs[i].requires_grad_();
      wanted.push_back(inputs[i]);
      indices.push_back(i);
    }
    variable_list gradients(6);
    if (wanted.empty()) return gradients;
    const torch::AutoGradMode with_gradient(true);
    // What a context saves may be a number, not a pointer.  NOLINTNEXTLINE(performance-no-int-to-ptr)
    const auto* denoiser = reinterpret_cast<const Denoiser*>(context->saved_data["denoiser"].toInt());
    const Tensor output =
        denoiser->Predict(inputs[0], {inputs[1], inputs[2], inputs[3]}, SavedCondition(context));
    const variable_list found =
        torch::autograd::grad({output}, wanted, {output_gradient[0]}, /*retain_graph=*/c10::nullopt,
                              /*create_graph=*/false, /*allow_unused=*/true);
    for (size_t k = 0; k < found.size(); ++k) gradients[indices[k]] = found[k];
    return gradients;
  }
};

}  // namespace

Tensor PredictWithoutActivations(const Denoiser& denoiser, const Tensor& x, const NoiseLevel& at,
                                 const Condition& condition) {
  return Recomputed::apply(x, at.t, at.alpha, at.sigma, condition, &denoiser);
}

}  // namespace gas
