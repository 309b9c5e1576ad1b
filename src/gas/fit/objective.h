// What a fit minimises when it is not the squared error (docs/math/fit.md, section 5).
#ifndef GAS_FIT_OBJECTIVE_H_
#define GAS_FIT_OBJECTIVE_H_

#include <functional>
#include <memory>

#include "gas/core/torch.h"
#include "gas/features/lpips.h"
#include "gas/models/model.h"

namespace gas {

// A distance of samples to the teacher's, minimised by a sequence of linear least-squares problems.
class Objective {
 public:
  virtual ~Objective() = default;
  // How many linear problems in a row a minimisation takes.
  virtual int64_t iterations() const = 0;
  // What is minimised, its mean over all samples: of sample and teacher [B,...], float64 on the CPU, -> [B].
  virtual Tensor Distances(const Tensor& sample, const Tensor& teacher) const = 0;
  // M of each sample in Equations, for samples like these [B,...].
  virtual int64_t EquationsOfEach(const Tensor& sample) const = 0;
  // J delta = r, whose squared residual has the distances' gradient (up to a common factor) at delta = 0.
  // float64 on the CPU: J [B,M,P], r [B,M].
  struct Equations {
    Tensor jacobian, missing;
  };
  // Around `sample` [B,...], which moves by sum_p delta_p directions_p: directions [B,P,...]; teacher
  // [B,...].
  virtual Equations Linearise(const Tensor& sample, const Tensor& directions,
                              const Tensor& teacher) const = 0;
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

// EmbeddingObjective of an LPIPS of the model's images, decoded where it has a codec; all in float32. Throws
// Error(kBadOption) for a codec that is not continuous.
ObjectivePtr LpipsObjective(const Model& model, const std::shared_ptr<Lpips>& network);

// How many of `sample` [B,...] to linearise at once along so many directions: memory is bounded, as far as
// one sample allows. A multiple of `multiple`.
int64_t LinearisedAtOnce(const Objective& objective, const Tensor& sample, int64_t directions,
                         int64_t multiple);

}  // namespace gas

#endif  // GAS_FIT_OBJECTIVE_H_
