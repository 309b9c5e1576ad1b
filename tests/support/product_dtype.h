// Tests of narrow dtypes skip where they cannot be computed.
#ifndef GAS_TESTS_SUPPORT_PRODUCT_DTYPE_H_
#define GAS_TESTS_SUPPORT_PRODUCT_DTYPE_H_

#include "gas/nn/product_dtype.h"

#define SKIP_WITHOUT_CONVOLUTIONS(dtype)                 \
  if (!::gas::nn::HasConvolutions((dtype), torch::kCPU)) \
  GTEST_SKIP() << "no convolutions in " << (dtype) << " here"
#define SKIP_WITHOUT_BFLOAT16() SKIP_WITHOUT_CONVOLUTIONS(torch::kBFloat16)

#endif  // GAS_TESTS_SUPPORT_PRODUCT_DTYPE_H_
