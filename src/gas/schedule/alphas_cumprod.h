// The noise tables of discrete processes: alphas_cumprod [steps] float64, for DiscreteSchedule.
#ifndef GAS_SCHEDULE_ALPHAS_CUMPROD_H_
#define GAS_SCHEDULE_ALPHAS_CUMPROD_H_

#include "gas/core/torch.h"

namespace gas {

// Betas at equal distances from 0.1 / steps to 20 / steps (Ho et al. 2020 for 1000 steps: 1e-4 to 0.02; for
// other numbers scaled as in guided-diffusion). steps must be in [21, 1000000], where betas are below 1.
Tensor LinearAlphasCumprod(int64_t steps = 1000);

// Betas 1 - a((i + 1) / steps) / a(i / steps), at most 0.999, with a(t) = cos^2(pi/2 (t + 0.008) / 1.008)
// (Nichol and Dhariwal 2021). steps must be in [2, 1000000].
Tensor CosineAlphasCumprod(int64_t steps = 1000);

}  // namespace gas

#endif  // GAS_SCHEDULE_ALPHAS_CUMPROD_H_
