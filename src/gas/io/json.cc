#include "gas/io/json.h"

#include "gas/core/error.h"

namespace gas {

using Json = nlohmann::json;

Json ParseJson(std::string_view name, std::string_view text, const JsonLimits& limits) {
  GAS_CHECK(text.size() <= limits.bytes, Errc::kBadFile, name, ": ", text.size(), " bytes of JSON, at most ",
            limits.bytes);
  // The library tells the number of lists and objects that are open already.
  const auto check_depth = [&](int open, Json::parse_event_t event, const Json&) {
    const bool opens_one =
        event == Json::parse_event_t::object_start || event == Json::parse_event_t::array_start;
    GAS_CHECK(!opens_one || open < limits.depth, Errc::kBadFile, name, ": JSON nested more than ",
              limits.depth, " deep");
    return true;
  };
  try {
    return Json::parse(text, check_depth);
  } catch (const Json::parse_error& e) {
    Fail(Errc::kBadFile, name, ": not JSON at byte ", e.byte);
  } catch (const Json::out_of_range&) {
    Fail(Errc::kBadFile, name, ": JSON with a number beyond the range of double");
  }
}

std::optional<Json> ParseJsonOrNone(std::string_view text, const JsonLimits& limits) {
  try {
    return ParseJson("", text, limits);
  } catch (const Error&) {
    return std::nullopt;
  }
}

namespace {

constexpr size_t kShownCharacters = 80;

// Without characters that a terminal would obey, and never an exception for text that is not UTF-8.
std::string Escaped(const Json& value) {
  return value.dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace);
}

}  // namespace

std::string Quoted(std::string_view text) {
  const bool cut = text.size() > kShownCharacters;
  return Escaped(Json(text.substr(0, kShownCharacters))) + (cut ? "..." : "");
}

std::string Shown(const Json& value) {
  const std::string text = Escaped(value);
  return text.size() > kShownCharacters ? text.substr(0, kShownCharacters) + "..." : text;
}

}  // namespace gas
