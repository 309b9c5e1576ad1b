// The one sampler: runs any table on any denoiser.
#ifndef GAS_SOLVER_SAMPLER_H_
#define GAS_SOLVER_SAMPLER_H_

#include <functional>
#include <limits>

#include "gas/core/torch.h"
#include "gas/schedule/denoiser.h"
#include "gas/solver/step_table.h"

namespace gas {

// More than any table has.
inline constexpr int64_t kAllEvaluations = std::numeric_limits<int64_t>::max();

struct SampleOptions {
  // So many evaluations, the first ones, keep no network activations for the backward pass, which evaluates
  // the network a second time there instead. With all of them memory does not grow with the number of steps.
  int64_t recomputed = 0;
  // Called with n and x_n [B,...] for n = 0..N (N: the sample).
  std::function<void(int64_t n, const Tensor& state)> on_state;
  // Called with n and m_n [B,...] after each of the N evaluations.
  std::function<void(int64_t n, const Tensor& data_prediction)> on_data_prediction;
};

// noise [B,...] standard normal, of any rank, in the dtype and on the device in which the states are kept; a
// table with a spectral basis needs [B,C,H,W] of the basis's shape. Returns x_N, same shape and dtype.
// Differentiable in the table, and in the noise. Calls the denoiser exactly table.nfe() times. Throws
// Error(kNumeric) for numbers of the table beyond the range of the noise's dtype.
Tensor RunTable(const StepTable& table, const Denoiser& denoiser, const Tensor& noise,
                const Condition& condition, const SampleOptions& options = {});

// Counts evaluations of another denoiser, which must outlive it.
class CountingDenoiser : public Denoiser {
 public:
  explicit CountingDenoiser(const Denoiser& inner) : inner_(inner) {}
  PredictionType prediction_type() const override { return inner_.prediction_type(); }
  Tensor Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const override {
    ++count_;
    return inner_.Predict(x, at, condition);
  }
  int64_t count() const { return count_; }

 private:
  const Denoiser& inner_;
  mutable int64_t count_ = 0;
};

}  // namespace gas

#endif  // GAS_SOLVER_SAMPLER_H_
