// Variance-preserving schedules in terms of log alpha, without cancellation (docs/math/schedules.md (2),
// (3)).
#ifndef GAS_SCHEDULE_LOG_ALPHA_H_
#define GAS_SCHEDULE_LOG_ALPHA_H_

#include "gas/core/torch.h"

namespace gas {

// log(1 + exp(x)) for any x. Unlike torch::softplus, which turns linear at x = 20, exact to the last digits.
inline Tensor LogOnePlusExp(const Tensor& x) { return torch::logaddexp(x, torch::zeros_like(x)); }

// sigma^2 = 1 - alpha^2: expm1 keeps the digits of a small sigma.
inline Tensor SigmaOfLogAlpha(const Tensor& log_alpha) { return torch::sqrt(-torch::expm1(2 * log_alpha)); }

inline Tensor HalfLogSnrOfLogAlpha(const Tensor& log_alpha) {
  return log_alpha - 0.5 * torch::log(-torch::expm1(2 * log_alpha));
}

inline Tensor LogAlphaOfHalfLogSnr(const Tensor& lambda) { return -0.5 * LogOnePlusExp(-2 * lambda); }

}  // namespace gas

#endif  // GAS_SCHEDULE_LOG_ALPHA_H_
