#include "gas/core/shown.h"

namespace gas {
namespace {

using Json = nlohmann::json;

// Never an exception for text that is not UTF-8.
std::string Escaped(const Json& value) {
  return value.dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace);
}

// C0, DEL, and C1, which UTF-8 writes as C2 80 to C2 9F.
bool HasControls(std::string_view text) {
  unsigned char before = 0;
  for (const unsigned char c : text) {
    if (c < 0x20 || c == 0x7f || (before == 0xc2 && c < 0xa0)) return true;
    before = c;
  }
  return false;
}

}  // namespace

std::string Quoted(std::string_view text, size_t most) {
  constexpr size_t kQuotes = 2;
  std::string_view part = text.substr(0, most);
  std::string quoted = Escaped(Json(part));
  // An escape is longer than what it stands for.
  while (quoted.size() - kQuotes > most) {
    part.remove_suffix(1);
    quoted = Escaped(Json(part));
  }
  return quoted + (part.size() < text.size() ? "..." : "");
}

std::string Printable(std::string_view text, size_t most) {
  return text.size() <= most && IsUtf8(text) && !HasControls(text) ? std::string(text) : Quoted(text, most);
}

std::string Shown(const Json& value, size_t most) {
  const std::string text = Escaped(value);
  return text.size() > most ? text.substr(0, most) + "..." : text;
}

bool IsUtf8(std::string_view text) {
  try {
    Json(text).dump();
    return true;
  } catch (const Json::type_error&) {
    return false;
  }
}

}  // namespace gas
