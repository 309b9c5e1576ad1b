#include "gas/grid/trainable_grid.h"

#include "gas/grid/time_grid.h"

namespace gas {
namespace {

// Keeps every mu away from 0 and 1, where two times would meet.
constexpr double kMargin = 1e-5;

}  // namespace

Tensor StickBreakingGrid(const Tensor& theta, double t_eps, double t_start) {
  const Tensor mu = torch::sigmoid(theta) * (1 - 2 * kMargin) + kMargin;
  const Tensor inner = (1 - torch::cumprod(mu, 0)) * (t_start - t_eps) + t_eps;
  return torch::cat({Scalar(t_eps).unsqueeze(0), inner, Scalar(t_start).unsqueeze(0)}).flip(0);
}

Tensor StickBreakingTheta(const Tensor& grid) {
  CheckGrid(grid);
  const double t_start = grid[0].item<double>(), t_eps = grid[-1].item<double>();
  // 1 - u for u ascending from 0: the cumulative products, with the empty product 1 in front.
  const Tensor products = (1 - (grid.flip(0) - t_eps) / (t_start - t_eps)).slice(0, 0, grid.size(0) - 1);
  const Tensor mu = products.slice(0, 1) / products.slice(0, 0, products.size(0) - 1);
  const Tensor squeezed = ((mu - kMargin) / (1 - 2 * kMargin)).clamp(1e-12, 1 - 1e-12);
  return torch::log(squeezed) - torch::log1p(-squeezed);
}

}  // namespace gas
