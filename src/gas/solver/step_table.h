// The one object that every solver becomes: a lower-triangular table of coefficients on a grid of times.
#ifndef GAS_SOLVER_STEP_TABLE_H_
#define GAS_SOLVER_STEP_TABLE_H_

#include <string>

#include "gas/core/torch.h"

namespace gas {

// For n = 0..N-1:
//
//   x_{n+1} = sum_{j<=n} a[n][j] x_j + sum_{j<=n} b[n][j] m_j
//   m_j     = data prediction of the network at state x_j, with alpha, sigma of node j; the network sees t_eval[j]
//
// x_0 is noise * prior_std, x_N is the sample. One network evaluation per row. Everything is float64 on the CPU and
// may carry gradients (docs/math/step_table.md).
struct StepTable {
  Tensor t;           // [N+1] time of each state, t[N] that of the sample
  Tensor t_eval;      // [N]   time that the network sees
  Tensor alpha;       // [N]   at t
  Tensor sigma;       // [N]
  Tensor alpha_eval;  // [N]   at t_eval
  Tensor sigma_eval;  // [N]
  Tensor a;           // [N,N] zero above the diagonal
  Tensor b;           // [N,N] zero above the diagonal
  double prior_std = 1.0;
  std::string method;  // the solver's name, for people

  int64_t nfe() const { return t_eval.size(0); }  // network evaluations, one per row
  StepTable Detached() const;
};

// Throws Error(kBadOption) unless shapes agree, everything is finite and a, b are lower triangular.
void ValidateTable(const StepTable& table);

}  // namespace gas

#endif  // GAS_SOLVER_STEP_TABLE_H_
