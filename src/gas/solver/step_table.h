// The one object that every solver becomes: a lower-triangular table of coefficients on a grid of times.
#ifndef GAS_SOLVER_STEP_TABLE_H_
#define GAS_SOLVER_STEP_TABLE_H_

#include <string>

#include "gas/core/torch.h"
#include "gas/solver/spectral_basis.h"

namespace gas {

// For n = 0..N-1:
//
//   x_{n+1} = sum_{j<=n} a[n][j] x_j + sum_{j<=n} b[n][j] m_j
//   m_j     = data prediction of the network at state x_j, with alpha, sigma of node j; the network sees
//   t_eval[j]
//
// x_0 is noise * prior_std, x_N is the sample. One network evaluation per row. Everything is float64 on the
// CPU and may carry gradients (docs/math/step_table.md).
//
// In a spectral table a coefficient is a matrix [C,K], one number per principal component and frequency band,
// applied in the basis; a scalar table is the same with one number for all. With a start, x_0 is what the
// start makes of the noise (docs/math/spectral.md).
struct StepTable {
  Tensor t;           // [N+1] time of each state, t[N] that of the sample
  Tensor t_eval;      // [N]   time that the network sees
  Tensor alpha;       // [N]   at t
  Tensor sigma;       // [N]
  Tensor alpha_eval;  // [N]   at t_eval
  Tensor sigma_eval;  // [N]
  Tensor a;           // [N,N], spectral [N,N,C,K]; zero above the diagonal
  Tensor b;           // like a
  double prior_std = 1.0;
  SpectralBasisPtr basis;  // of spectral coefficients and of the start; null if there are neither
  SpectralStartPtr start;  // null: none
  std::string method;      // the solver's name, for people

  int64_t nfe() const { return t_eval.size(0); }  // network evaluations, one per row
  bool spectral() const { return a.dim() == 4; }
  StepTable Detached() const;
  // The first `rows` rows alone. Their last state is no sample; fitting builds tables from such.
  StepTable Prefix(int64_t rows) const;
};

// Throws Error(kBadOption) unless shapes agree, everything is finite and a, b are lower triangular.
void ValidateTable(const StepTable& table);

}  // namespace gas

#endif  // GAS_SOLVER_STEP_TABLE_H_
