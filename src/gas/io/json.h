// JSON from outside. Every reader of ours parses here, so that no text can nest deeper than the functions
// that walk over JSON, which call themselves at each level.
#ifndef GAS_IO_JSON_H_
#define GAS_IO_JSON_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace gas {

struct JsonLimits {
  int depth = 64;  // lists and objects inside one another
  uint64_t bytes = uint64_t{256} << 20;
};

// Throws Error(kBadFile) for text that is not JSON or is beyond the limits. The message is `name` and at most
// 200 characters, none of them from the text. Of a key that appears twice in an object the last value counts.
nlohmann::json ParseJson(std::string_view name, std::string_view text, const JsonLimits& limits = {});

// The same for text that may be anything: none where ParseJson would throw.
std::optional<nlohmann::json> ParseJsonOrNone(std::string_view text, const JsonLimits& limits = {});

// Text from outside for a message: in double quotes, short, and without characters that a terminal would
// obey.
std::string Quoted(std::string_view text);
// The same for a value of JSON, as it is written there.
std::string Shown(const nlohmann::json& value);

}  // namespace gas

#endif  // GAS_IO_JSON_H_
