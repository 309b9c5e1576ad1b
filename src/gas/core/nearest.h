// "Did you mean ...?" for names that people type.
#ifndef GAS_CORE_NEAREST_H_
#define GAS_CORE_NEAREST_H_

#include <span>
#include <string>
#include <string_view>

namespace gas {

// Insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b` (optimal string
// alignment).
size_t EditDistance(std::string_view a, std::string_view b);

// The entry of `known` with the smallest edit distance to `name`, the first of equals; "" if `known` is
// empty.
std::string NearestName(std::string_view name, std::span<const std::string> known);

}  // namespace gas

#endif  // GAS_CORE_NEAREST_H_
