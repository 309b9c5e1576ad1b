// The little of Unicode that prompts need: code points, letters, numbers, spaces and lower case.
#ifndef GAS_MODELS_TEXT_UNICODE_H_
#define GAS_MODELS_TEXT_UNICODE_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace gas::text {

struct CodePointRange {
  char32_t first, last;
};
struct LowerCaseRun {
  char32_t first, last, step;
  int32_t delta;
};

// A code point and the two, or the one with 0 behind it, that it is made of.
struct Composition {
  char32_t whole, first, second;
};
struct CombiningClass {
  char32_t first, last, value;
};

// The tables of unicode_compositions.cc: pairs that are put together, what is only taken apart, and the
// classes other than 0 by which marks behind a letter are sorted.
std::span<const Composition> Compositions();
std::span<const Composition> Decompositions();
std::span<const CombiningClass> CombiningClasses();

// The tables of unicode_tables.cc.
std::span<const CodePointRange> LetterRanges();
std::span<const CodePointRange> NumberRanges();
std::span<const LowerCaseRun> LowerCaseRuns();

// General categories L and N, and the property White_Space.
bool IsLetter(char32_t c);
bool IsNumber(char32_t c);
bool IsSpace(char32_t c);

// As Unicode's default conversion, with its two special cases: I with a dot above becomes two code points,
// and a capital sigma at the end of a word the final one.
std::u32string LowerCase(std::u32string_view text);

// Unicode's normal form C: accents that follow their letters become one code point with them. Compatibility
// ideographs stay as they are.
std::u32string Composed(std::u32string_view text);

// Throws Error(kBadOption), which begins with `what`, for text that is not UTF-8.
std::u32string FromUtf8(std::string_view what, std::string_view text);
std::string ToUtf8(std::u32string_view text);

}  // namespace gas::text

#endif  // GAS_MODELS_TEXT_UNICODE_H_
