#include "gas/schedule/alphas_cumprod.h"

#include <numbers>

#include "gas/core/error.h"

namespace gas {
namespace {

void CheckSteps(const char* kind, int64_t steps, int64_t least) {
  GAS_CHECK(steps >= least && steps <= 1'000'000, Errc::kBadOption, kind, " schedule of ", steps,
            " steps, must be in [", least, ", 1000000]");
}

}  // namespace

Tensor LinearAlphasCumprod(int64_t steps) {
  CheckSteps("linear", steps, 21);
  const double scale = 1000.0 / static_cast<double>(steps);
  return torch::cumprod(1 - torch::linspace(scale * 1e-4, scale * 0.02, steps, torch::kFloat64), 0);
}

Tensor CosineAlphasCumprod(int64_t steps) {
  CheckSteps("cosine", steps, 2);
  const Tensor t = torch::arange(steps + 1, torch::kFloat64) / static_cast<double>(steps);
  const Tensor a = torch::cos((t + 0.008) * (std::numbers::pi / 2 / 1.008)).square();
  const Tensor betas = (1 - a.slice(0, 1) / a.slice(0, 0, steps)).clamp_max(0.999);
  return torch::cumprod(1 - betas, 0);
}

}  // namespace gas
