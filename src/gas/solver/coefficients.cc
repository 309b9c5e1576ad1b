#include "gas/solver/coefficients.h"

#include "gas/core/error.h"

namespace gas {

void CheckInRange(const char* what, const Tensor& values, torch::ScalarType type) {
  const Tensor plain = values.detach();
  const bool in_range = plain.to(type).isfinite().all().item<bool>();
  GAS_CHECK(in_range, Errc::kNumeric, "sampler: ", what, " up to ", plain.abs().max().item<double>(),
            ", must be in the range of the states' type, ", c10::toString(type));
}

Coefficients::Coefficients(const Tensor& matrix, const Tensor& band, bool traced, const Tensor& like)
    : values_(matrix.detach().contiguous()),
      band_(band),
      traced_(traced && matrix.requires_grad()),
      size_(matrix.size(0)) {
  CheckInRange("coefficients of the table", values_, like.scalar_type());
  if (traced_) {
    cast_ = ToLike(matrix, like);
  } else if (spectral()) {
    cast_ = ToLike(values_, like);
  }
  if (spectral()) state_shape_ = like.sizes().slice(1).vec();
  const Tensor zero = values_.reshape({size_, size_, -1}).eq(0).all(2).contiguous();
  is_zero_.assign(zero.data_ptr<bool>(), zero.data_ptr<bool>() + zero.numel());
  for (int64_t j = 0; j < size_; ++j) {
    int64_t last = j;
    for (int64_t n = j + 1; n < size_; ++n) {
      if (Uses(n, j)) last = n;
    }
    last_use_.push_back(last);
  }
}

Tensor Coefficients::Times(int64_t n, int64_t j, const Tensor& v) const {
  if (spectral()) return Map(n, j) * v;
  return traced_ ? cast_[n][j] * v : Value(n, j) * v;
}

void Coefficients::AddTo(Tensor& sum, int64_t n, int64_t j, const Tensor& v) const {
  if (!sum.defined()) {
    sum = Times(n, j, v);
  } else if (spectral()) {
    sum.addcmul_(Map(n, j), v);
  } else {
    sum.add_(v, Value(n, j));
  }
}

Tensor Coefficients::Map(int64_t n, int64_t j) const {
  return cast_[n][j].index_select(1, band_).view(state_shape_);
}

}  // namespace gas
