// Unicode's normal form C (Unicode Standard Annex 15).
#include <algorithm>
#include <map>

#include "gas/models/text/unicode.h"

namespace gas::text {
namespace {

// Hangul's syllables are numbered by their letters: leads, vowels, tails (none is the first).
constexpr char32_t kSyllables = 0xAC00, kLeads = 0x1100, kVowels = 0x1161, kTails = 0x11A7;
constexpr char32_t kLeadCount = 19, kVowelCount = 21, kTailCount = 28;
constexpr char32_t kSyllableCount = kLeadCount * kVowelCount * kTailCount;

bool IsIn(char32_t c, char32_t first, char32_t count) { return c >= first && c - first < count; }

struct Tables {
  Tables() {
    for (const auto& list : {Compositions(), Decompositions()}) {
      for (const Composition& c : list) parts[c.whole] = {c.first, c.second};
    }
    for (const Composition& c : Compositions()) whole[{c.first, c.second}] = c.whole;
  }
  std::map<char32_t, std::pair<char32_t, char32_t>> parts;
  std::map<std::pair<char32_t, char32_t>, char32_t> whole;
};

const Tables& AllTables() {
  static const Tables tables;
  return tables;
}

char32_t ClassOf(char32_t c) {
  const auto classes = CombiningClasses();
  const auto found = std::ranges::lower_bound(classes, c, {}, &CombiningClass::last);
  return found != classes.end() && found->first <= c ? found->value : 0;
}

void AddDecomposed(char32_t c, std::u32string& text) {
  if (IsIn(c, kSyllables, kSyllableCount)) {
    const char32_t index = c - kSyllables, tail = index % kTailCount;
    text += kLeads + index / (kVowelCount * kTailCount);
    text += kVowels + index / kTailCount % kVowelCount;
    if (tail > 0) text += kTails + tail;
    return;
  }
  const auto found = AllTables().parts.find(c);
  if (found == AllTables().parts.end()) {
    text += c;
    return;
  }
  AddDecomposed(found->second.first, text);
  if (found->second.second != 0) text += found->second.second;
}

// Marks behind a letter by their classes, equal ones in their order.
void SortMarks(std::u32string& text) {
  for (auto begin = text.begin(); begin != text.end();) {
    if (ClassOf(*begin) == 0) {
      ++begin;
      continue;
    }
    const auto end = std::find_if(begin, text.end(), [](char32_t c) { return ClassOf(c) == 0; });
    std::stable_sort(begin, end, [](char32_t a, char32_t b) { return ClassOf(a) < ClassOf(b); });
    begin = end;
  }
}

// The code point that two are together; 0 if there is none.
char32_t Together(char32_t first, char32_t second) {
  if (IsIn(first, kLeads, kLeadCount) && IsIn(second, kVowels, kVowelCount)) {
    return kSyllables + ((first - kLeads) * kVowelCount + (second - kVowels)) * kTailCount;
  }
  const bool open = IsIn(first, kSyllables, kSyllableCount) && (first - kSyllables) % kTailCount == 0;
  if (open && IsIn(second, kTails + 1, kTailCount - 1)) return first + (second - kTails);
  const auto found = AllTables().whole.find({first, second});
  return found == AllTables().whole.end() ? 0 : found->second;
}

}  // namespace

std::u32string Composed(std::u32string_view text) {
  std::u32string apart;
  for (const char32_t c : text) AddDecomposed(c, apart);
  SortMarks(apart);
  std::u32string composed;
  size_t starter = std::u32string::npos;  // the last code point of class 0 in `composed`
  for (const char32_t c : apart) {
    const char32_t own = ClassOf(c);
    // Marks between the two keep it from the starter unless they are of a lower class.
    const bool next = starter != std::u32string::npos && starter + 1 == composed.size();
    const bool free =
        starter != std::u32string::npos && (next || (own > 0 && ClassOf(composed.back()) < own));
    const char32_t whole = free ? Together(composed[starter], c) : 0;
    if (whole != 0) {
      composed[starter] = whole;
      continue;
    }
    if (own == 0) starter = composed.size();
    composed += c;
  }
  return composed;
}

}  // namespace gas::text
