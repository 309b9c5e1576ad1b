#include "gas/cli/help.h"

#include <algorithm>

#include <fmt/format.h>

#include "gas/cli/option_text.h"

namespace gas::cli {
namespace {

constexpr const char* kIntroduction =
    "gas: few-step samplers for pretrained diffusion and flow models.\n"
    "The network stays frozen; the solver is learned. Start with: gas demo\n";
constexpr size_t kOptionIndent = 30;

std::vector<std::string> Wrapped(std::string_view text, size_t width) {
  std::vector<std::string> lines;
  while (text.size() > width) {
    const size_t space = text.rfind(' ', width);
    // A word that is longer than a line stays whole.
    const size_t end = space == text.npos || space == 0 ? std::min(text.find(' '), text.size()) : space;
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  lines.emplace_back(text);
  return lines;
}

}  // namespace

std::string HelpEntry(const std::string& name, std::string_view text, size_t indent) {
  std::string entry = "  " + name;
  if (entry.size() + 2 > indent) {
    entry += "\n" + std::string(indent, ' ');
  } else {
    entry.resize(indent, ' ');
  }
  const std::vector<std::string> lines = Wrapped(text, kHelpColumns - indent);
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) entry += std::string(indent, ' ');
    entry += lines[i] + "\n";
  }
  return entry;
}

std::string Overview(std::span<const Verb> verbs) {
  size_t indent = 0;
  for (const Verb& verb : verbs) indent = std::max(indent, std::string_view(verb.name).size() + 4);
  std::string text = fmt::format("{}\nUsage: gas VERB [options]\n\n", kIntroduction);
  for (const Verb& verb : verbs) text += HelpEntry(verb.name, verb.summary, indent);
  return text + "\ngas help VERB prints the options of a verb, gas --version the version.\n";
}

std::string HelpOf(const Verb& verb) {
  std::string usage = fmt::format("gas {} [options]", verb.name);
  for (const OptionRow& row : verb.rows) {
    if (IsPositional(row)) usage += fmt::format(" {}", row.flag);
  }
  std::string text;
  for (const std::string& line : Wrapped(verb.summary, kHelpColumns)) text += line + "\n";
  text += fmt::format("\nUsage: {}\n", usage);
  for (const OptionGroup& group : Grouped(verb)) {
    text += fmt::format("\n{}:\n", group.heading);
    for (const OptionRow& row : group.rows) text += HelpEntry(FlagText(row), FullText(row), kOptionIndent);
  }
  return text + fmt::format("\nExample: {}\n", verb.example);
}

}  // namespace gas::cli
