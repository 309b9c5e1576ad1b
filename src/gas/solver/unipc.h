// UniPC, a predictor-corrector exponential integrator in data prediction (Zhao et al. 2023;
// docs/math/unipc.md).
#ifndef GAS_SOLVER_UNIPC_H_
#define GAS_SOLVER_UNIPC_H_

#include "gas/solver/table_builder.h"

namespace gas {

// B(h) of the paper, with h = lambda_{n+1} - lambda_n.
enum class UniPcVariant {
  kBh1,  // -h
  kBh2,  // exp(-h) - 1
};

struct UniPcOptions {
  int64_t order = 3;  // 1 to 3, of predictor and corrector
  UniPcVariant variant = UniPcVariant::kBh2;
};

// grid [N+1] float64 descending times. N evaluations: each serves the corrector of its step and the next
// predictor; the last step has no corrector, and the order falls towards it. `corrected`, if given, receives
// the N states that the predictors start from: x_0, then each corrected state. Throws Error(kBadOption) for
// an order outside [1, 3] or a grid that is not descending.
StepTable UniPcTable(const UniPcOptions& options, const NoiseSchedule& schedule, const Tensor& grid,
                     std::vector<LinearForm>* corrected = nullptr);

}  // namespace gas

#endif  // GAS_SOLVER_UNIPC_H_
