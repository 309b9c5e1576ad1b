#include "gas/cli/text.h"

#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "gas/core/shown.h"

namespace gas::cli {
namespace {

constexpr double kLeastInDecimals = 1e-4;
constexpr size_t kShortList = 16;

nlohmann::json Shortened(const nlohmann::json& json) {
  if (json.is_array() && json.size() > kShortList) {
    return fmt::format("{} ... {} ({} entries)", Shown(json.front()), Shown(json.back()), json.size());
  }
  if (json.is_string()) {
    const auto& text = json.get_ref<const std::string&>();
    return text.size() > kShownCharacters ? text.substr(0, kShownCharacters) + "..." : text;
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

std::string ShortJson(const nlohmann::json& json) {
  constexpr size_t kAll = std::numeric_limits<size_t>::max();
  const nlohmann::json shortened = Shortened(json);
  const std::string text = shortened.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return Printable(text, kAll) == text ? text : Shown(shortened, kAll);
}

}  // namespace gas::cli
