// Tests of narrow dtypes skip where they cannot be computed.
#ifndef GAS_TESTS_SUPPORT_PRODUCT_DTYPE_H_
#define GAS_TESTS_SUPPORT_PRODUCT_DTYPE_H_

#include "gas/nn/product_dtype.h"

#define SKIP_WITHOUT_CONVOLUTIONS(dtype)                 \
  if (!::gas::nn::HasConvolutions((dtype), torch::kCPU)) \
  GTEST_SKIP() << "no convolutions in " << (dtype) << " here"
#define SKIP_WITHOUT_BFLOAT16() SKIP_WITHOUT_CONVOLUTIONS(torch::kBFloat16)

namespace gas::testing {

// A dtype that products are rounded to, and what tens of them leave of a network's largest output.
struct NarrowDtype {
  torch::Dtype dtype;
  double tolerance;
};
inline constexpr NarrowDtype kNarrowDtypes[] = {{torch::kBFloat16, 0.1},   // each to 2^-8
                                                {torch::kFloat16, 0.02}};  // each to 2^-11

}  // namespace gas::testing

#endif  // GAS_TESTS_SUPPORT_PRODUCT_DTYPE_H_
