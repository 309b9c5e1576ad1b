#include "gas/solver/late_start.h"

#include <algorithm>
#include <cmath>

#include "gas/core/error.h"

namespace gas {

int64_t FirstNodeOf(double strength, int64_t nfe) {
  GAS_CHECK(strength > 0 && strength <= 1, Errc::kBadOption, "strength = ", strength, ", must be in (0, 1]");
  const auto rows = static_cast<int64_t>(std::llround(strength * static_cast<double>(nfe)));
  return nfe - std::clamp<int64_t>(rows, 1, nfe);
}

StepTable FromNode(const StepTable& table, int64_t first) {
  GAS_ASSERT(first >= 0 && first < table.nfe());
  const StepTable whole = table.Detached();
  StepTable late = whole;
  for (Tensor* nodes : {&late.t, &late.t_eval, &late.alpha, &late.sigma, &late.alpha_eval, &late.sigma_eval})
    *nodes = nodes->slice(0, first).clone();
  late.a = whole.a.slice(0, first).slice(1, first).clone();
  late.b = whole.b.slice(0, first).slice(1, first).clone();
  late.prior_std = 1;
  late.start = nullptr;
  const Tensor alpha = whole.alpha[first], sigma = whole.sigma[first];
  for (int64_t j = 0; j < first; ++j) {
    // What x_j was of x and of m; m_j was m.
    const Tensor of_x = whole.sigma[j] / sigma, of_m = whole.alpha[j] - alpha * of_x;
    const Tensor a = whole.a.slice(0, first).select(1, j), b = whole.b.slice(0, first).select(1, j);
    late.a.select(1, 0).add_(a * of_x);
    late.b.select(1, 0).add_(a * of_m + b);
  }
  if (!late.spectral()) late.basis = nullptr;  // it was the start's
  return late;
}

}  // namespace gas
