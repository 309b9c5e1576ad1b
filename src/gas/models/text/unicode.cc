#include "gas/models/text/unicode.h"

#include <algorithm>

#include "gas/core/error.h"
#include "gas/io/json.h"

namespace gas::text {
namespace {

constexpr char32_t kCapitalIWithDot = 0x130, kCombiningDot = 0x307;
constexpr char32_t kCapitalSigma = 0x3A3, kFinalSigma = 0x3C2;

// The run that could hold c: the first that does not end before it.
template <class Run>
const Run* RunAt(std::span<const Run> runs, char32_t c) {
  const auto found = std::ranges::lower_bound(runs, c, {}, [](const Run& run) { return run.last; });
  return found != runs.end() && found->first <= c ? &*found : nullptr;
}

char32_t LowerCaseOf(char32_t c) {
  // Runs of every other code point lie inside one another's range: all that begin before c are asked.
  for (const LowerCaseRun& run : LowerCaseRuns()) {
    if (run.first > c) break;
    if (c <= run.last && (c - run.first) % run.step == 0) {
      return static_cast<char32_t>(static_cast<int64_t>(c) + run.delta);
    }
  }
  return c;
}

}  // namespace

bool IsLetter(char32_t c) { return RunAt(LetterRanges(), c) != nullptr; }

bool IsNumber(char32_t c) { return RunAt(NumberRanges(), c) != nullptr; }

bool IsSpace(char32_t c) {
  constexpr CodePointRange kSpaces[] = {
      {0x9, 0xD},       {0x20, 0x20},     {0x85, 0x85},     {0xA0, 0xA0},     {0x1680, 0x1680},
      {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}};
  return RunAt(std::span<const CodePointRange>(kSpaces), c) != nullptr;
}

std::u32string LowerCase(std::u32string_view text) {
  std::u32string lower;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool ends_word = i > 0 && IsLetter(text[i - 1]) && (i + 1 == text.size() || !IsLetter(text[i + 1]));
    if (text[i] == kCapitalIWithDot) {
      lower += {U'i', kCombiningDot};
    } else if (text[i] == kCapitalSigma && ends_word) {
      lower += kFinalSigma;
    } else {
      lower += LowerCaseOf(text[i]);
    }
  }
  return lower;
}

std::u32string FromUtf8(std::string_view what, std::string_view text) {
  GAS_CHECK(IsUtf8(text), Errc::kBadOption, what, " is not UTF-8");
  std::u32string points;
  for (size_t i = 0; i < text.size();) {
    const auto first = static_cast<unsigned char>(text[i]);
    const size_t length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    char32_t point = length == 1 ? first : first & (0x7F >> length);
    for (size_t k = 1; k < length; ++k) point = point << 6 | (static_cast<unsigned char>(text[i + k]) & 0x3F);
    points += point;
    i += length;
  }
  return points;
}

std::string ToUtf8(std::u32string_view text) {
  std::string bytes;
  const auto add = [&](char32_t value) { bytes += static_cast<char>(value); };
  const auto add_rest = [&](char32_t c, int groups) {
    for (int i = groups - 1; i >= 0; --i) add(0x80 | (c >> (6 * i) & 0x3F));
  };
  for (const char32_t c : text) {
    const int groups = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    constexpr char32_t kFirst[] = {0, 0xC0, 0xE0, 0xF0};
    add(kFirst[groups] | c >> (6 * groups));
    add_rest(c, groups);
  }
  return bytes;
}

}  // namespace gas::text
