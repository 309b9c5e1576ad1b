// Matchers that every test uses.
#ifndef GAS_TESTS_SUPPORT_EXPECT_H_
#define GAS_TESTS_SUPPORT_EXPECT_H_

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gas/core/error.h"
#include "gas/core/torch.h"

namespace gas::testing {

// Passes if shapes agree and |actual - expected| <= atol + rtol * max|expected| everywhere (NaN fails).
::testing::AssertionResult Close(const Tensor& actual, const Tensor& expected, double rtol, double atol);

// Passes if both have the same shape, dtype and bits.
::testing::AssertionResult SameBits(const Tensor& actual, const Tensor& expected);

}  // namespace gas::testing

// `statement` throws gas::Error with this code and a message that contains `text`.
#define EXPECT_ERROR(statement, expected_code, text)                                              \
  do {                                                                                            \
    try {                                                                                         \
      (void)(statement);                                                                          \
      ADD_FAILURE() << #statement << " did not throw";                                            \
    } catch (const ::gas::Error& error) {                                                         \
      EXPECT_EQ(static_cast<int>(error.code()), static_cast<int>(expected_code)) << error.what(); \
      EXPECT_THAT(std::string(error.what()), ::testing::HasSubstr(text));                         \
    }                                                                                             \
  } while (false)

#endif  // GAS_TESTS_SUPPORT_EXPECT_H_
