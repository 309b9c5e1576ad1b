#include "gas/schedule/guidance_range.h"

#include <fmt/format.h>

namespace gas {

std::string GuidanceText(double scale, const std::optional<GuidanceRange>& range) {
  return range ? fmt::format("{}..{}", range->first, range->second) : fmt::format("{}", scale);
}

std::vector<double> ScalesAcross(double scale, const std::optional<GuidanceRange>& range) {
  if (!range) return {scale};
  return {range->first, scale, range->second};
}

}  // namespace gas
