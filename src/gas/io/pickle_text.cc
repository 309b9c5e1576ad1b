#include "gas/io/pickle_text.h"

#include <charconv>

namespace gas {
namespace {

// All of `text` as a number.
template <class T, class... Base>
std::optional<T> NumberOfAll(std::string_view text, Base... base) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base...);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<char> SimpleEscape(char c) {
  constexpr std::string_view kFrom = "\\'\"abfnrtv", kTo = "\\'\"\a\b\f\n\r\t\v";
  const size_t at = kFrom.find(c);
  if (at == std::string_view::npos) return std::nullopt;
  return kTo[at];
}

bool IsOctal(char c) { return c >= '0' && c <= '7'; }

// Takes what follows a backslash from the front of `text`.
std::optional<char> TakeEscape(std::string_view& text) {
  if (text.empty()) return std::nullopt;
  size_t length = 1;
  std::optional<char> value = SimpleEscape(text[0]);
  if (text[0] == 'x') {
    length = 3;
    if (text.size() < length) return std::nullopt;
    if (const auto byte = NumberOfAll<uint8_t>(text.substr(1, 2), 16)) value = static_cast<char>(*byte);
  } else if (IsOctal(text[0])) {
    while (length < 3 && length < text.size() && IsOctal(text[length])) ++length;
    if (const auto byte = NumberOfAll<unsigned>(text.substr(0, length), 8)) value = static_cast<char>(*byte);
  }
  if (value) text.remove_prefix(length);
  return value;
}

}  // namespace

std::optional<int64_t> ParsePickleInteger(std::string_view text) { return NumberOfAll<int64_t>(text, 10); }

std::optional<double> ParsePickleFloat(std::string_view text) { return NumberOfAll<double>(text); }

std::optional<std::string> ParsePickleString(std::string_view text) {
  if (text.size() < 2 || text.front() != text.back()) return std::nullopt;
  if (text.front() != '\'' && text.front() != '"') return std::nullopt;
  text = text.substr(1, text.size() - 2);
  std::string bytes;
  while (!text.empty()) {
    const char c = text[0];
    text.remove_prefix(1);
    if (c != '\\') {
      bytes += c;
    } else if (const auto escaped = TakeEscape(text)) {
      bytes += *escaped;
    } else {
      return std::nullopt;
    }
  }
  return bytes;
}

void AppendUtf8(uint32_t code_point, std::string& to) {
  const auto put = [&](uint32_t lead, int shift) { to += static_cast<char>(lead | (code_point >> shift)); };
  const auto follow = [&](int shift) { to += static_cast<char>(0x80 | ((code_point >> shift) & 0x3F)); };
  if (code_point < 0x80) {
    put(0, 0);
  } else if (code_point < 0x800) {
    put(0xC0, 6);
    follow(0);
  } else if (code_point < 0x10000) {
    put(0xE0, 12);
    follow(6);
    follow(0);
  } else {
    put(0xF0, 18);
    follow(12);
    follow(6);
    follow(0);
  }
}

std::optional<std::string> ParseRawUnicode(std::string_view text) {
  std::string utf8;
  while (!text.empty()) {
    const bool short_form = text.starts_with("\\u"), long_form = text.starts_with("\\U");
    if (!short_form && !long_form) {
      AppendUtf8(static_cast<unsigned char>(text[0]), utf8);
      text.remove_prefix(1);
      continue;
    }
    const size_t digits = short_form ? 4 : 8;
    if (text.size() < 2 + digits) return std::nullopt;
    const auto code_point = NumberOfAll<uint32_t>(text.substr(2, digits), 16);
    if (!code_point || *code_point > 0x10FFFF) return std::nullopt;
    AppendUtf8(*code_point, utf8);
    text.remove_prefix(2 + digits);
  }
  return utf8;
}

std::optional<std::string> Latin1OfUtf8(std::string_view text) {
  std::string bytes;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x80) {
      bytes += text[i];
      continue;
    }
    // Two bytes, 110000xx 10xxxxxx, are U+0080 to U+00FF.
    const bool two = (c == 0xC2 || c == 0xC3) && i + 1 < text.size();
    if (!two || (static_cast<unsigned char>(text[i + 1]) & 0xC0) != 0x80) return std::nullopt;
    bytes += static_cast<char>((c & 3) << 6 | (text[++i] & 0x3F));
  }
  return bytes;
}

}  // namespace gas
