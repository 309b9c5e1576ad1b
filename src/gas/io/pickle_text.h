// The texts of a pickle's opcodes: numbers and strings of protocol 0.
#ifndef GAS_IO_PICKLE_TEXT_H_
#define GAS_IO_PICKLE_TEXT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gas {

// Each gives nothing for a text of another form.

// Decimal, of at most 64 bits.
std::optional<int64_t> ParsePickleInteger(std::string_view text);
// As Python's repr() writes it, infinities and NaN too.
std::optional<double> ParsePickleFloat(std::string_view text);
// The bytes of a quoted string with Python 2's escapes.
std::optional<std::string> ParsePickleString(std::string_view text);
// UTF-8 of Python's encoding raw-unicode-escape: latin1 bytes, \uXXXX and \UXXXXXXXX.
std::optional<std::string> ParseRawUnicode(std::string_view text);

// Appends the UTF-8 of a code point below 2^21; those above 0x10FFFF do not exist.
void AppendUtf8(uint32_t code_point, std::string& to);
// The bytes whose latin1 decoding is this UTF-8; nothing if a character lies beyond latin1.
std::optional<std::string> Latin1OfUtf8(std::string_view text);

}  // namespace gas

#endif  // GAS_IO_PICKLE_TEXT_H_
