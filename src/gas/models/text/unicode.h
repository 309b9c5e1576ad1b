// The little of Unicode that prompts need, by utf8proc: code points, letters, numbers, spaces, lower case and
// composed accents.
#ifndef GAS_MODELS_TEXT_UNICODE_H_
#define GAS_MODELS_TEXT_UNICODE_H_

#include <string>
#include <string_view>

namespace gas::text {

// General categories L and N, and the property White_Space.
bool IsLetter(char32_t c);
bool IsNumber(char32_t c);
bool IsSpace(char32_t c);

// As Unicode's default conversion, with its two special cases: I with a dot above becomes two code points,
// and a capital sigma at the end of a word the final one.
std::u32string LowerCase(std::u32string_view text);

// Unicode's normal form C: accents that follow their letters become one code point with them.
std::u32string Composed(std::u32string_view text);

// Throws Error(kBadOption), which begins with `what`, for text that is not UTF-8.
std::u32string FromUtf8(std::string_view what, std::string_view text);
std::string ToUtf8(std::u32string_view text);

}  // namespace gas::text

#endif  // GAS_MODELS_TEXT_UNICODE_H_
