#include "gas/cli/text.h"

#include <cmath>

#include <fmt/format.h>

namespace gas::cli {
namespace {

constexpr double kLeastInDecimals = 1e-4;
constexpr size_t kShortList = 16;

nlohmann::json Shortened(const nlohmann::json& json) {
  if (json.is_array() && json.size() > kShortList) {
    return fmt::format("{} ... {} ({} entries)", json.front().dump(), json.back().dump(), json.size());
  }
  nlohmann::json copy = json;
  if (json.is_structured()) {
    for (nlohmann::json& item : copy) item = Shortened(item);
  }
  return copy;
}

}  // namespace

std::string DistanceText(double distance) {
  const bool small = distance != 0 && std::abs(distance) < kLeastInDecimals;
  return small ? fmt::format("{:.3e}", distance) : fmt::format("{:.6f}", distance);
}

std::string ShortJson(const nlohmann::json& json) { return Shortened(json).dump(); }

}  // namespace gas::cli
