#include "gas/cli/option_text.h"

#include <algorithm>

#include <fmt/format.h>

namespace gas::cli {
namespace {

struct Heading {
  std::string_view prefix, text;
};

// Headings by the first word of a key.
constexpr Heading kHeadings[] = {
    {"model", "Model"},         {"solver", "Solver"},
    {"student", "Solver"},      {"data", "Data"},
    {"run", "Machine"},         {"train", "Training"},
    {"adversary", "Adversary"}, {"fit", "Fit"},
    {"sample", "Samples"},      {"eval", "Measurement"},
    {"bench", "Measurement"},   {"teacher", "Teacher data"},
    {"pretrain", "Network"},    {"inspect", "What to show"},
    {"demo", "Demonstration"},  {"import", "What to read"},
};

std::string HeadingOf(const OptionRow& row) {
  if (row.group[0] != '\0') return row.group;
  const std::string_view key = row.key;
  const std::string_view prefix = key.substr(0, key.find('.'));
  for (const Heading& heading : kHeadings) {
    if (heading.prefix == prefix) return std::string(heading.text);
  }
  return "Options";
}

// Says once, in the heading, what holds for every row of a group.
void MoveSharedOnlyToHeading(OptionGroup& group) {
  const std::string_view shared = group.rows[0].only;
  const auto same = [&](const OptionRow& row) { return shared == row.only; };
  if (shared.empty() || !std::all_of(group.rows.begin(), group.rows.end(), same)) return;
  group.heading += fmt::format(", only {}", shared);
  for (OptionRow& row : group.rows) row.only = "";
}

// "theory (corrections to the base solver), times (times alone) or lms".
std::string ChoicesText(const OptionRow& row) {
  std::string text;
  for (size_t i = 0; i < row.choices.size(); ++i) {
    const Choice& choice = row.choices[i];
    if (i > 0) text += i + 1 == row.choices.size() ? " or " : ", ";
    text += choice.name;
    if (!choice.meaning.empty()) text += fmt::format(" ({})", choice.meaning);
  }
  return text;
}

}  // namespace

std::span<const OptionRow> CommonRows() {
  static const OptionRow rows[] = {
      {.key = "",
       .flag = "--config",
       .type = OptType::kText,
       .def = "",
       .help = "JSON file of options by key; the command line wins",
       .value = "FILE"},
      {.key = "",
       .flag = "--dry-run",
       .type = OptType::kFlag,
       .def = "false",
       .help = "check and print the options with where each came from, and, of train, fit and sample, the "
               "memory that the run will take at its peak, and stop"},
      {.key = "", .flag = "--help", .type = OptType::kFlag, .def = "false", .help = "print this and stop"}};
  return rows;
}

bool IsPositional(const OptionRow& row) { return row.flag[0] != '-'; }

std::string ValueName(const OptionRow& row) {
  switch (row.type) {
    case OptType::kFlag: return "";
    case OptType::kInt: return "INT";
    case OptType::kReal: return "REAL";
    case OptType::kChoice: return "NAME";
    case OptType::kText: break;
  }
  return row.value[0] == '\0' ? "TEXT" : row.value;
}

std::string FlagText(const OptionRow& row) {
  const std::string value = ValueName(row);
  return IsPositional(row) || value.empty() ? row.flag : fmt::format("{} {}", row.flag, value);
}

std::string MeaningText(const OptionRow& row) {
  return row.choices.empty() ? row.help : row.help + ": " + ChoicesText(row);
}

std::string FullText(const OptionRow& row) {
  std::string text = MeaningText(row);
  if (row.type != OptType::kFlag && !row.def.empty()) text += fmt::format(" [{}]", row.def);
  if (row.only[0] != '\0') text += fmt::format(", only {}", row.only);
  return text;
}

std::vector<OptionGroup> Grouped(const Verb& verb) {
  std::vector<OptionGroup> groups;
  for (const OptionRow& row : verb.rows) {
    const std::string heading = HeadingOf(row);
    auto group = std::find_if(groups.begin(), groups.end(),
                              [&](const OptionGroup& known) { return known.heading == heading; });
    if (group == groups.end()) group = groups.insert(group, {heading, {}});
    group->rows.push_back(row);
  }
  for (OptionGroup& group : groups) MoveSharedOnlyToHeading(group);
  groups.push_back({"Every verb", {CommonRows().begin(), CommonRows().end()}});
  return groups;
}

}  // namespace gas::cli
