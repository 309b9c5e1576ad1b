#include "gas/core/enum_names.h"

#include <vector>

#include "gas/core/nearest.h"
#include "gas/core/shown.h"

namespace gas {

std::string ListOf(std::span<const Choice> choices) {
  std::string text;
  for (size_t i = 0; i < choices.size(); ++i) {
    if (i > 0) text += i + 1 == choices.size() ? " or " : ", ";
    text += choices[i].name;
  }
  return text;
}

void FailUnknownName(Errc code, std::string_view what, std::string_view name, std::span<const Choice> known) {
  std::vector<std::string> names;
  for (const Choice& choice : known) names.emplace_back(choice.name);
  Fail(code, what, " = ", Printable(name), ": unknown, must be ", ListOf(known), "; did you mean ",
       NearestName(name, names), "?");
}

}  // namespace gas
