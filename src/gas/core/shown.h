// Text and values from outside (files, processes, configurations) in what people read: short, and without
// characters that a terminal would obey.
#ifndef GAS_CORE_SHOWN_H_
#define GAS_CORE_SHOWN_H_

#include <cstddef>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace gas {

inline constexpr size_t kShownCharacters = 80;

// In double quotes, escaped as in JSON, and cut to `most` characters.
std::string Quoted(std::string_view text, size_t most = kShownCharacters);

// As it is where it is UTF-8 of at most `most` bytes without control characters, otherwise Quoted: for names,
// which people know without quotes.
std::string Printable(std::string_view text, size_t most = kShownCharacters);

// A value as JSON has it, escaped and cut to `most` characters.
std::string Shown(const nlohmann::json& value, size_t most = kShownCharacters);

// Whether a text can stand in JSON.
bool IsUtf8(std::string_view text);

}  // namespace gas

#endif  // GAS_CORE_SHOWN_H_
