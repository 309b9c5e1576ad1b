// A network that is asked through a counter.
#ifndef GAS_TESTS_SUPPORT_ROW_COUNTING_DENOISER_H_
#define GAS_TESTS_SUPPORT_ROW_COUNTING_DENOISER_H_

#include <memory>

#include "gas/schedule/denoiser.h"

namespace gas::testing {

// Counts evaluations of `inner`, each of one sample, forwards.
class RowCountingDenoiser : public Denoiser {
 public:
  explicit RowCountingDenoiser(std::shared_ptr<const Denoiser> inner) : inner_(std::move(inner)) {}
  PredictionType prediction_type() const override { return inner_->prediction_type(); }
  Tensor Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const override {
    rows_ += x.size(0);
    return inner_->Predict(x, at, condition);
  }
  int64_t rows() const { return rows_; }

 private:
  std::shared_ptr<const Denoiser> inner_;
  mutable int64_t rows_ = 0;
};

}  // namespace gas::testing

#endif  // GAS_TESTS_SUPPORT_ROW_COUNTING_DENOISER_H_
