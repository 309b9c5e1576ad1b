// Gaussian mixtures as networks: their denoiser is known exactly, so that errors of solvers can be told from
// errors of networks (docs/formats.md has the file).
#ifndef GAS_MODELS_MIXTURE_MIXTURE_H_
#define GAS_MODELS_MIXTURE_MIXTURE_H_

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "gas/schedule/denoiser.h"
#include "gas/schedule/noise_schedule.h"

namespace gas {

// x0 ~ sum_k w_k N(m_k, S_k) in R^D.
class GaussianMixture {
 public:
  // {"weights": [K], "means": [K,D], "covariances": [K,D,D]}; messages begin with `where`. Throws
  // Error(kBadFile) for other shapes, more than 4096 components or dimensions, weights that are not positive,
  // and covariances that are not symmetric with eigenvalues of at least 0.
  explicit GaussianMixture(const nlohmann::json& mixture, const std::string& where = "mixture");

  int64_t dimensions() const { return means_.size(1); }
  // E[x0 | x0 + s n = z]: z [B, ...] with D entries per row, s [] standard deviation, computed in z's dtype
  // and differentiable in both. labels [B] int64 keep one component per row, -1 the whole mixture; undefined:
  // the whole mixture for all.
  Tensor Denoise(const Tensor& z, const Tensor& s, const Tensor& labels) const;

 private:
  Tensor log_weights_;  // [K]
  Tensor means_;        // [K,D]
  Tensor axes_;         // [K,D,D] columns are the eigenvectors of S_k
  Tensor variances_;    // [K,D]   eigenvalues of S_k
};

// Predicts the data; labels choose a component.
class MixtureDenoiser : public Denoiser {
 public:
  explicit MixtureDenoiser(const GaussianMixture& mixture) : mixture_(mixture) {}
  PredictionType prediction_type() const override { return PredictionType::kData; }
  Tensor Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const override;

 private:
  GaussianMixture mixture_;
};

// A mixture as a model file has it.
struct MixtureFile {
  GaussianMixture mixture;
  std::vector<int64_t> shape;  // [C,H,W] with D entries
  SchedulePtr schedule;
};

inline constexpr const char* kMixtureKey = "gas_mixture";
inline constexpr uint64_t kMaxMixtureBytes = uint64_t{1} << 28;
// Throws Error(kBadFile); messages begin with `name`.
MixtureFile ParseMixtureFile(const std::string& name, std::string_view text);

}  // namespace gas

#endif  // GAS_MODELS_MIXTURE_MIXTURE_H_
