// Linear least squares with many equations in few unknowns, accumulated in a stream (docs/math/fit.md,
// section 2).
#ifndef GAS_FIT_LEAST_SQUARES_H_
#define GAS_FIT_LEAST_SQUARES_H_

#include <optional>
#include <vector>

#include "gas/core/torch.h"

namespace gas {

// Equations columns * w = target, kept as the triangular factor R of the QR decomposition of [columns |
// target]: as well conditioned as the equations themselves (normal equations would square the condition
// number), and of fixed size.
class EquationSystem {
 public:
  explicit EquationSystem(int64_t unknowns);

  // columns [M,p], target [M]; float64 on the CPU.
  void Add(const Tensor& columns, const Tensor& target);
  // The equations of another system in the same unknowns.
  void Add(const EquationSystem& other);

  int64_t unknowns() const { return factor_.size(1) - 1; }
  int64_t equations() const { return equations_; }
  // [p+1,p+1] upper triangular (fewer rows while there are fewer equations).
  const Tensor& factor() const { return factor_; }
  // Sum over the equations of (columns * w - target)^2, for w [p].
  double SquaredError(const Tensor& w) const;

 private:
  Tensor factor_;
  int64_t equations_ = 0;
};

// A linear condition that the solution keeps exactly: normal [p] * w = value. The prior must keep it too.
struct LinearConstraint {
  Tensor normal;

  // The nearest to w [p] for which it is `value`.
  Tensor Nearest(const Tensor& w, double value) const;
};

// Minimises |columns * w - target|^2 + ridge |scale (w - prior)|^2 where scale is the norm of each column, so
// that ridge is a pure number; infinity gives the prior. With ridge 0 directions that the equations do not
// determine to rounding keep the prior.
class RidgeSolver {
 public:
  // prior [p] float64.
  RidgeSolver(const EquationSystem& system, const Tensor& prior,
              const std::optional<LinearConstraint>& constraint = {});
  Tensor Solve(double ridge) const;  // [p]

 private:
  Tensor prior_, to_unknowns_, singular_values_, projected_, v_;
};

struct CrossValidated {
  Tensor w;          // [p]
  double ridge = 0;  // of ridges, the one chosen
  double error = 0;  // mean over equations of the squared error of each fold under the solution of the others
};

enum class RidgeChoice {
  kLeast,             // least error on folds left out
  kOneStandardError,  // the largest ridge whose error is within one standard error, a share sqrt(2 /
                      // equations), of that
};

// Chooses the ridge, from an ascending list, by leaving each fold out once, then solves with all of them.
// Throws Error(kBadOption) with fewer than two folds.
CrossValidated SolveCrossValidated(const std::vector<EquationSystem>& folds, const Tensor& prior,
                                   const std::vector<double>& ridges,
                                   const std::optional<LinearConstraint>& constraint = {},
                                   RidgeChoice choice = RidgeChoice::kLeast);

}  // namespace gas

#endif  // GAS_FIT_LEAST_SQUARES_H_
