// Tests of bfloat16 skip where it cannot be computed: LibTorch asks oneDNN for such convolutions by what the
// processor has, and a oneDNN that ONEDNN_MAX_CPU_ISA holds to lesser instructions cannot make them.
#ifndef GAS_TESTS_SUPPORT_BFLOAT16_H_
#define GAS_TESTS_SUPPORT_BFLOAT16_H_

#include <exception>

#include "gas/core/torch.h"

namespace gas::testing {

inline bool HasBfloat16Convolutions() {
  const auto options = torch::TensorOptions(torch::kBFloat16);
  try {
    torch::conv2d(torch::zeros({1, 4, 5, 5}, options), torch::zeros({4, 4, 3, 3}, options));
  } catch (const std::exception&) {
    return false;
  }
  return true;
}

}  // namespace gas::testing

#define SKIP_WITHOUT_BFLOAT16() \
  if (!::gas::testing::HasBfloat16Convolutions()) GTEST_SKIP() << "no bfloat16 convolutions here"

#endif  // GAS_TESTS_SUPPORT_BFLOAT16_H_
