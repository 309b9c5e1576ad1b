#include "gas/models/text/unicode.h"

#include <utf8proc.h>

#include <cstdlib>
#include <memory>

#include "gas/core/error.h"
#include "gas/io/json.h"

namespace gas::text {
namespace {

constexpr char32_t kCapitalIWithDot = 0x130, kCombiningDot = 0x307;
constexpr char32_t kCapitalSigma = 0x3A3, kFinalSigma = 0x3C2;

}  // namespace

bool IsLetter(char32_t c) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO: return true;
    default: return false;
  }
}

bool IsNumber(char32_t c) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO: return true;
    default: return false;
  }
}

bool IsSpace(char32_t c) {
  if ((c >= 0x9 && c <= 0xD) || c == 0x85) return true;  // controls that are spaces
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP: return true;
    default: return false;
  }
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
      lower += static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(text[i])));
    }
  }
  return lower;
}

std::u32string Composed(std::u32string_view text) {
  const std::string bytes = ToUtf8(text);
  utf8proc_uint8_t* made = nullptr;
  const utf8proc_ssize_t size = utf8proc_map(
      reinterpret_cast<const utf8proc_uint8_t*>(bytes.data()), static_cast<utf8proc_ssize_t>(bytes.size()),
      &made, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(made, &std::free);
  GAS_CHECK(size >= 0, Errc::kBadOption, "a prompt: ", utf8proc_errmsg(size));
  return FromUtf8("a prompt", {reinterpret_cast<const char*>(made), static_cast<size_t>(size)});
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
