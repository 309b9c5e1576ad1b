#include "gas/io/json.h"

#include <set>

#include "gas/core/error.h"

namespace gas {

using Json = nlohmann::json;

Json ParseJson(std::string_view name, std::string_view text, const JsonLimits& limits) {
  GAS_CHECK(text.size() <= limits.bytes, Errc::kBadFile, name, ": ", text.size(), " bytes of JSON, at most ",
            limits.bytes);
  std::vector<std::set<std::string>> keys;  // of the objects that are open
  // The library tells the number of lists and objects that are open already.
  const auto check = [&](int open, Json::parse_event_t event, const Json& parsed) {
    using Event = Json::parse_event_t;
    const bool opens_one = event == Event::object_start || event == Event::array_start;
    GAS_CHECK(!opens_one || open < limits.depth, Errc::kBadFile, name, ": JSON nested more than ",
              limits.depth, " deep");
    if (event == Event::object_start) keys.emplace_back();
    if (event == Event::object_end) keys.pop_back();
    if (event == Event::key) {
      const auto& key = parsed.get_ref<const std::string&>();
      GAS_CHECK(keys.back().insert(key).second, Errc::kBadFile, name, ": the key ", Quoted(key),
                " appears twice in an object");
    }
    return true;
  };
  try {
    return Json::parse(text, check);
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

int64_t WholeNumber(std::string_view what, const Json& value, int64_t min, int64_t max) {
  const auto limits = std::numeric_limits<int64_t>();
  const bool whole = value.is_number_integer() &&
                     (!value.is_number_unsigned() || value.get<uint64_t>() <= uint64_t{INT64_MAX});
  const int64_t number = whole ? value.get<int64_t>() : 0;
  if (min == limits.min() && max == limits.max()) {
    GAS_CHECK(whole, Errc::kBadFile, what, " = ", Shown(value), ", must be a whole number");
  }
  GAS_CHECK(whole && number >= min && number <= max, Errc::kBadFile, what, " = ", Shown(value),
            ", must be a whole number in [", min, ", ", max, "]");
  return number;
}

double RealNumber(std::string_view what, const Json& value) {
  GAS_CHECK(value.is_number(), Errc::kBadFile, what, " = ", Shown(value), ", must be a number");
  return value.get<double>();
}

bool TruthValue(std::string_view what, const Json& value) {
  GAS_CHECK(value.is_boolean(), Errc::kBadFile, what, " = ", Shown(value), ", must be true or false");
  return value.get<bool>();
}

size_t ListSize(std::string_view what, const Json& value) {
  GAS_CHECK(value.is_array(), Errc::kBadFile, what, " = ", Shown(value), ", must be a list");
  return value.size();
}

void CheckObject(std::string_view what, const Json& value) {
  GAS_CHECK(value.is_object(), Errc::kBadFile, what, " = ", Shown(value), ", must be an object");
}

void ReadField(std::string_view what, const Json& value, int64_t& field) { field = WholeNumber(what, value); }

void ReadField(std::string_view what, const Json& value, double& field) { field = RealNumber(what, value); }

void ReadField(std::string_view what, const Json& value, bool& field) { field = TruthValue(what, value); }

void ReadField(std::string_view what, const Json& value, std::string& field) {
  GAS_CHECK(value.is_string(), Errc::kBadFile, what, " = ", Shown(value), ", must be a text");
  field = value.get<std::string>();
}

void ReadField(std::string_view what, const Json& value, std::map<std::string, std::string>& field) {
  CheckObject(what, value);
  field.clear();
  for (const auto& [key, text] : value.items()) {
    ReadField(std::string(what) + "." + Printable(key), text, field[key]);
  }
}

}  // namespace gas
