// JSON from outside. Every reader of ours parses here, so that no text can nest deeper than the functions
// that walk over JSON, which call themselves at each level.
#ifndef GAS_IO_JSON_H_
#define GAS_IO_JSON_H_

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "gas/core/shown.h"  // for all who report on JSON

namespace gas {

struct JsonLimits {
  int depth = 64;  // lists and objects inside one another
  uint64_t bytes = uint64_t{256} << 20;
};

// Throws Error(kBadFile) for text that is not JSON or is beyond the limits. The message is `name` and at most
// 200 characters, none of them from the text but a key that appears twice in an object, which is refused too.
nlohmann::json ParseJson(std::string_view name, std::string_view text, const JsonLimits& limits = {});

// The same for text that may be anything: none where ParseJson would throw.
std::optional<nlohmann::json> ParseJsonOrNone(std::string_view text, const JsonLimits& limits = {});

// Values of exactly the kind that is asked for: a fraction or a truth value is no whole number, and nothing
// is cut to fewer bits. Throw Error(kBadFile), "WHAT = 1.9, must be a whole number in [MIN, MAX]".
int64_t WholeNumber(std::string_view what, const nlohmann::json& value,
                    int64_t min = std::numeric_limits<int64_t>::min(),
                    int64_t max = std::numeric_limits<int64_t>::max());
double RealNumber(std::string_view what, const nlohmann::json& value);
bool TruthValue(std::string_view what, const nlohmann::json& value);

size_t ListSize(std::string_view what, const nlohmann::json& value);
void CheckObject(std::string_view what, const nlohmann::json& value);

// The same into a field, by its type.
void ReadField(std::string_view what, const nlohmann::json& value, int64_t& field);
void ReadField(std::string_view what, const nlohmann::json& value, double& field);
void ReadField(std::string_view what, const nlohmann::json& value, bool& field);
void ReadField(std::string_view what, const nlohmann::json& value, std::string& field);
void ReadField(std::string_view what, const nlohmann::json& value, std::map<std::string, std::string>& field);
template <class Item>
void ReadField(std::string_view what, const nlohmann::json& value, std::vector<Item>& field) {
  field.assign(ListSize(what, value), Item{});
  for (size_t i = 0; i < field.size(); ++i) ReadField(what, value[i], field[i]);
}

}  // namespace gas

#endif  // GAS_IO_JSON_H_
