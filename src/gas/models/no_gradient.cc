#include "gas/models/no_gradient.h"

#include "gas/core/error.h"

namespace gas {

std::string NoGradientText(const std::string& name) {
  return "the network of " + name + " gives no gradient, which training takes; gas fit needs none";
}

void CheckNoGradientAsked(const std::string& name, const Tensor& x, const NoiseLevel& at) {
  for (const Tensor* input : {&x, &at.t, &at.alpha, &at.sigma})
    GAS_CHECK(!input->requires_grad(), Errc::kBadOption, NoGradientText(name));
}

}  // namespace gas
