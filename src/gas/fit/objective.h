// What the last row of a fit minimises when it is not the squared error (docs/math/fit.md, section 5).
#ifndef GAS_FIT_OBJECTIVE_H_
#define GAS_FIT_OBJECTIVE_H_

#include <functional>
#include <memory>

#include "gas/core/torch.h"
#include "gas/models/model.h"

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

// Of differences of embeddings in float64: both errors, of rounding and of curvature, stay near 1e-8.
inline constexpr double kDoubleEmbeddingStep = 1e-4;
// Of those that are computed in float32: both stay near 1e-4.
inline constexpr double kSingleEmbeddingStep = 1e-2;

// Gauss-Newton for |F(student) - F(teacher)|^2 where F maps samples [B,...] in float64 to vectors [B,D] in
// float64. Only F is differentiated, by central differences along each column, which move samples by `step`
// (root mean square).
ObjectivePtr EmbeddingObjective(std::function<Tensor(const Tensor&)> embedding, int64_t iterations = 3,
                                double step = kDoubleEmbeddingStep);

// EmbeddingObjective of the feature network that the model's card names. Where the model has a codec, the
// network looks at decoded images, whose decoder computes in float32. Throws Error(kBadOption) for a codec
// that is not continuous, and what FeatureFileOf and ReadFeatureModelFor throw.
ObjectivePtr FeaturesObjective(const Model& model);

}  // namespace gas

#endif  // GAS_FIT_OBJECTIVE_H_
