// Counts the floating-point operations of convolutions and matrix products, for benchmarks.
#ifndef GAS_NN_FLOPS_H_
#define GAS_NN_FLOPS_H_

#include <cstdint>

namespace gas::nn {

// While one lives, products computed on this thread are added to it (a multiply-add counts as two).
class FlopCounter {
 public:
  FlopCounter();
  ~FlopCounter();
  FlopCounter(const FlopCounter&) = delete;
  FlopCounter& operator=(const FlopCounter&) = delete;
  double flops() const { return flops_; }

 private:
  friend void CountFlops(double flops);
  double flops_ = 0;
  FlopCounter* outer_;
};

void CountFlops(double flops);

}  // namespace gas::nn

#endif  // GAS_NN_FLOPS_H_
