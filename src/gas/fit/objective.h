// What the last row of a fit minimises when it is not the squared error (docs/math/fit.md, section 5).
#ifndef GAS_FIT_OBJECTIVE_H_
#define GAS_FIT_OBJECTIVE_H_

#include <functional>
#include <memory>

#include "gas/core/torch.h"

namespace gas {

// A problem that is solved as a sequence of linear ones around the present sample.
class Objective {
 public:
  virtual ~Objective() = default;
  virtual int64_t iterations() const = 0;
  // The linear equations J w = r of one batch, float64 on the CPU: J [B,M,P], r [B,M].
  struct Equations {
    Tensor columns, target;
  };
  // columns [B,P,...] are the derivatives of the sample with respect to each coefficient, w [P] the
  // coefficients now, so that the sample is sum_p w_p columns_p; teacher [B,...].
  virtual Equations Linearise(const Tensor& columns, const Tensor& w, const Tensor& teacher) const = 0;
};

using ObjectivePtr = std::shared_ptr<const Objective>;

// Iteratively reweighted least squares for the pseudo-Huber distance sqrt(d^2 + delta^2) - delta; a small
// delta gives the mean absolute difference.
ObjectivePtr HuberObjective(double delta, int64_t iterations = 8);

// Gauss-Newton for |F(student) - F(teacher)|^2 where F maps samples [B,...] to vectors [B,D], in float64.
// Only F is differentiated, by central differences along each column.
ObjectivePtr EmbeddingObjective(std::function<Tensor(const Tensor&)> embedding, int64_t iterations = 3);

}  // namespace gas

#endif  // GAS_FIT_OBJECTIVE_H_
