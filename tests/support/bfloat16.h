// Tests of bfloat16 skip where it cannot be computed.
#ifndef GAS_TESTS_SUPPORT_BFLOAT16_H_
#define GAS_TESTS_SUPPORT_BFLOAT16_H_

#include "gas/nn/bfloat16.h"

#define SKIP_WITHOUT_BFLOAT16() \
  if (!::gas::nn::HasBfloat16Convolutions(torch::kCPU)) GTEST_SKIP() << "no bfloat16 convolutions here"

#endif  // GAS_TESTS_SUPPORT_BFLOAT16_H_
