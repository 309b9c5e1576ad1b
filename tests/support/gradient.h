// Gradients against central differences.
#ifndef GAS_TESTS_SUPPORT_GRADIENT_H_
#define GAS_TESTS_SUPPORT_GRADIENT_H_

#include <functional>

#include <gtest/gtest.h>

#include "gas/core/torch.h"

namespace gas::testing {

// Passes if the derivatives of `f` (-> scalar []) at x (float64) along four random directions are those that
// backpropagation gives, within rtol of the largest. Differences over 1e-5 are good to about 1e-9 where f is
// smooth.
inline ::testing::AssertionResult GradientMatches(const std::function<Tensor(const Tensor&)>& f,
                                                  const Tensor& x, double rtol = 1e-6) {
  Tensor at = x.detach().clone().requires_grad_();
  f(at).backward();
  torch::NoGradGuard no_grad;
  std::vector<double> slopes, differences;
  double largest = 0;
  for (int i = 0; i < 4; ++i) {
    const Tensor direction = torch::randn_like(x) / std::sqrt(static_cast<double>(x.numel()));
    const double h = 1e-5;
    differences.push_back((f(x + h * direction) - f(x - h * direction)).item<double>() / (2 * h));
    slopes.push_back((at.grad() * direction).sum().item<double>());
    largest = std::max(largest, std::abs(differences.back()));
  }
  for (size_t i = 0; i < slopes.size(); ++i) {
    if (largest > 0 && std::abs(slopes[i] - differences[i]) <= rtol * largest) continue;
    return ::testing::AssertionFailure() << "along direction " << i << " the gradient gives " << slopes[i]
                                         << ", differences give " << differences[i];
  }
  return ::testing::AssertionSuccess();
}

}  // namespace gas::testing

#endif  // GAS_TESTS_SUPPORT_GRADIENT_H_
