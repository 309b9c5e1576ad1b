// Checks of numbers that options and files give, against their bounds.
#ifndef GAS_CORE_IN_RANGE_H_
#define GAS_CORE_IN_RANGE_H_

#include <string_view>
#include <type_traits>

#include "gas/core/error.h"

namespace gas {

// Throws Error(code) "WHAT = value, must be in [low, high]" unless low <= value <= high. NaN is in no range.
template <class T>
void CheckInClosed(Errc code, std::string_view what, T value, std::type_identity_t<T> low,
                   std::type_identity_t<T> high) {
  GAS_CHECK(value >= low && value <= high, code, what, " = ", value, ", must be in [", low, ", ", high, "]");
}

// The same of [low, high), which has not `high`.
template <class T>
void CheckInHalfOpen(Errc code, std::string_view what, T value, std::type_identity_t<T> low,
                     std::type_identity_t<T> high) {
  GAS_CHECK(value >= low && value < high, code, what, " = ", value, ", must be in [", low, ", ", high, ")");
}

}  // namespace gas

#endif  // GAS_CORE_IN_RANGE_H_
