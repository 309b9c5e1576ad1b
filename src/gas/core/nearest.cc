#include "gas/core/nearest.h"

#include <algorithm>
#include <limits>
#include <vector>

namespace gas {

size_t EditDistance(std::string_view a, std::string_view b) {
  // Three rows of the usual table: `two_above` is needed for swaps only.
  std::vector<size_t> two_above, above(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) above[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1])});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], two_above[j - 2] + 1);
    }
    two_above = above;
    above = row;
  }
  return above[b.size()];
}

std::string NearestName(std::string_view name, std::span<const std::string> known) {
  constexpr size_t kLongestName = 64;  // what a person types; bounds the work for hostile input
  const std::string_view typed = name.substr(0, kLongestName);
  std::string nearest;
  size_t best = std::numeric_limits<size_t>::max();
  for (const std::string& candidate : known) {
    const size_t distance = EditDistance(typed, candidate);
    if (distance < best) {
      best = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

}  // namespace gas
