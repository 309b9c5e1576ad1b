// Named tensors that must agree to the bit, such as those of a run that was killed and continued.
#ifndef GAS_TESTS_SUPPORT_SAME_TENSORS_H_
#define GAS_TESTS_SUPPORT_SAME_TENSORS_H_

#include <map>
#include <string>

#include "support/expect.h"

namespace gas::testing {

inline void ExpectSame(const std::map<std::string, Tensor>& a, const std::map<std::string, Tensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, value] : a) EXPECT_TRUE(SameBits(value, b.at(name))) << name;
}

}  // namespace gas::testing

#endif  // GAS_TESTS_SUPPORT_SAME_TENSORS_H_
