#include "support/expect.h"

namespace gas::testing {

::testing::AssertionResult Close(const Tensor& actual, const Tensor& expected, double rtol, double atol) {
  if (actual.sizes() != expected.sizes()) {
    return ::testing::AssertionFailure() << "shape " << actual.sizes() << ", expected " << expected.sizes();
  }
  if (actual.numel() == 0) return ::testing::AssertionSuccess();
  const Tensor want = expected.detach().to(torch::kFloat64);
  const Tensor error = (actual.detach().to(torch::kFloat64) - want).abs();
  const double largest = want.abs().max().item<double>();
  const double worst = error.max().item<double>();
  if (worst <= atol + rtol * largest) return ::testing::AssertionSuccess();  // false for NaN
  const int64_t at = error.argmax().item<int64_t>();
  return ::testing::AssertionFailure()
         << "largest difference " << worst << " at flat index " << at << " (bound " << atol + rtol * largest
         << ", largest expected entry " << largest << ")";
}

::testing::AssertionResult SameBits(const Tensor& actual, const Tensor& expected) {
  if (actual.sizes() != expected.sizes() || actual.dtype() != expected.dtype()) {
    return ::testing::AssertionFailure() << "shape or dtype differs";
  }
  if (torch::equal(actual, expected)) return ::testing::AssertionSuccess();
  return Close(actual, expected, 0, 0);
}

}  // namespace gas::testing
