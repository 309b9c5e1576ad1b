// The coefficients of a table as the sampler reads them, entry by entry.
#ifndef GAS_SOLVER_COEFFICIENTS_H_
#define GAS_SOLVER_COEFFICIENTS_H_

#include <vector>

#include "gas/core/torch.h"

namespace gas {

// Throws Error(kNumeric), which names the largest, if one of the table's numbers `values`, float64 on the
// CPU, is beyond what states of `type` can hold.
void CheckInRange(const char* what, const Tensor& values, torch::ScalarType type);

// One of the matrices A and B. Entries apply to states, or in a spectral table to spectra, in which an entry
// is one number per component and frequency band.
class Coefficients {
 public:
  // matrix [N,N] or [N,N,C,K] float64; band [H*W] int64, the band of each frequency, of a spectral one. With
  // `traced` a matrix that requires gradients enters the graph, in the type and on the device of `like`.
  Coefficients(const Tensor& matrix, const Tensor& band, bool traced, const Tensor& like);

  // Whether row n reads entry j. An entry in the graph counts although it may be zero now: it has a gradient.
  bool Uses(int64_t n, int64_t j) const { return traced_ || !is_zero_[n * size_ + j]; }
  // The last row that reads entry j, or j itself.
  int64_t LastUse(int64_t j) const { return last_use_[j]; }

  // entry[n][j] * v, in the graph.
  Tensor Times(int64_t n, int64_t j, const Tensor& v) const;
  // sum += entry[n][j] * v in place, with one fused multiply-add; an undefined sum begins here. Not in the
  // graph.
  void AddTo(Tensor& sum, int64_t n, int64_t j, const Tensor& v) const;

 private:
  bool spectral() const { return values_.dim() == 4; }
  double Value(int64_t n, int64_t j) const { return values_.data_ptr<double>()[n * size_ + j]; }
  // The coefficient of each frequency [C,H,W].
  Tensor Map(int64_t n, int64_t j) const;

  Tensor values_;  // float64 on the CPU, without gradients
  Tensor cast_;    // as Times needs it; undefined where plain numbers do
  Tensor band_;
  std::vector<int64_t> state_shape_;  // [C,H,W] of a spectral one
  bool traced_;
  int64_t size_;  // N
  std::vector<bool> is_zero_;
  std::vector<int64_t> last_use_;
};

}  // namespace gas

#endif  // GAS_SOLVER_COEFFICIENTS_H_
