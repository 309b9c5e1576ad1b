// The trainable time grid: stick-breaking, so that any parameters give a strictly descending grid
// (docs/math/grids.md).
#ifndef GAS_GRID_TRAINABLE_GRID_H_
#define GAS_GRID_TRAINABLE_GRID_H_

#include "gas/core/torch.h"

namespace gas {

// theta [N-1] float64 -> grid [N+1] float64, strictly descending from t_start to t_eps; differentiable. mu =
// sigmoid(theta) squeezed to [1e-5, 1 - 1e-5]; the inner times, ascending, are 1 - cumprod(mu) mapped from
// [0, 1] to [t_eps, t_start]. theta[0] belongs to the smallest inner time.
Tensor StickBreakingGrid(const Tensor& theta, double t_eps, double t_start);

// The theta [N-1] of a descending grid [N+1] float64 (N >= 1), as near as the squeeze allows.
Tensor StickBreakingTheta(const Tensor& grid);

}  // namespace gas

#endif  // GAS_GRID_TRAINABLE_GRID_H_
