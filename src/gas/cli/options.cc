#include "gas/cli/options.h"

#include <charconv>

#include <fmt/format.h>

#include "gas/core/error.h"
#include "gas/core/nearest.h"
#include "gas/core/shown.h"
#include "gas/io/json.h"
#include "gas/io/json_file.h"

namespace gas::cli {
namespace {

template <class Number>
Number ParseNumber(std::string_view key, std::string_view text, const char* kind) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  GAS_CHECK(error == std::errc() && end == text.data() + text.size(), Errc::kBadOption, key, " = ",
            Printable(text), ", must be ", kind);
  return value;
}

void CheckBounds(const OptionRow& row, double value, const std::string& text) {
  if (row.min == 0 && row.max == 0) return;
  GAS_CHECK(value >= row.min && value <= row.max, Errc::kBadOption, row.key, " = ", Printable(text),
            ", must be in [", row.min, ", ", row.max, "]");
}

void CheckChoice(const OptionRow& row, const std::string& text) {
  for (const Choice& choice : row.choices) {
    if (choice.name == text) return;
  }
  FailUnknownName(Errc::kBadOption, row.key, text, row.choices);
}

std::string JsonText(const nlohmann::json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_array()) {
    std::string list;
    for (const auto& item : value) list += (list.empty() ? "" : ",") + JsonText(item);
    return list;
  }
  return value.dump();
}

constexpr const char* kDefault = "default";
constexpr size_t kLongestShown = 200;  // of a value that is described

}  // namespace

OptionRow Only(const char* which, OptionRow row) {
  row.only = which;
  return row;
}

OptionRow NoDefault(const char* otherwise, OptionRow row) {
  row.def.clear();
  row.help += fmt::format(" [{}]", otherwise);
  return row;
}

std::string DefaultOf(int64_t value) { return std::to_string(value); }
std::string DefaultOf(double value) { return fmt::format("{}", value); }

Options::Options(std::vector<OptionRow> rows) : rows_(std::move(rows)) {
  for (const OptionRow& row : rows_) values_[row.key] = {row.def, kDefault};
}

std::vector<OptionRow> JoinedRows(std::initializer_list<std::vector<OptionRow>> lists) {
  std::vector<OptionRow> rows;
  for (const std::vector<OptionRow>& list : lists) rows.insert(rows.end(), list.begin(), list.end());
  return rows;
}

const OptionRow& Options::Row(std::string_view key) const {
  for (const OptionRow& row : rows_) {
    if (key == row.key) return row;
  }
  GAS_CHECK(!rows_.empty(), Errc::kBadOption, Printable(key), ": unknown key, this verb has no options");
  std::vector<std::string> known;
  for (const OptionRow& row : rows_) known.emplace_back(row.key);
  Fail(Errc::kBadOption, Printable(key), ": unknown key, did you mean ", NearestName(key, known), "?");
}

void Options::Set(const std::string& key, const std::string& text, const std::string& origin) {
  const OptionRow& row = Row(key);
  GAS_CHECK(IsUtf8(text), Errc::kBadOption, key, " = ", Quoted(text), ", must be UTF-8, as run records are");
  switch (row.type) {
    case OptType::kInt:
      CheckBounds(row, static_cast<double>(ParseNumber<int64_t>(key, text, "a whole number")), text);
      break;
    case OptType::kReal: CheckBounds(row, ParseNumber<double>(key, text, "a number"), text); break;
    case OptType::kFlag:
      GAS_CHECK(text == "true" || text == "false", Errc::kBadOption, key, " = ", Printable(text),
                ", must be true or false");
      break;
    case OptType::kChoice: CheckChoice(row, text); break;
    case OptType::kText: break;
  }
  values_[key] = {text, origin};
}

void Options::ReadConfig(const std::string& path) {
  const nlohmann::json json = ReadJsonFile(path, 1 << 20);
  GAS_CHECK(json.is_object(), Errc::kBadFile, path, ": not a JSON object");
  const std::function<void(const nlohmann::json&, const std::string&)> visit =
      [&](const auto& node, const std::string& prefix) {
        for (const auto& [name, value] : node.items()) {
          const std::string key = prefix.empty() ? name : prefix + "." + name;
          if (value.is_object()) {
            visit(value, key);
          } else if (At(key).origin != "command line") {
            Set(key, JsonText(value), path);
          }
        }
      };
  visit(json, "");
}

const Options::Value& Options::At(std::string_view key) const { return values_.at(Row(key).key); }

const std::string& Options::Text(std::string_view key) const {
  const Value& value = At(key);
  value.read = true;
  return value.text;
}

std::optional<std::string> Options::TextIfGiven(std::string_view key) const {
  const std::string& text = Text(key);
  if (At(key).origin == kDefault) return std::nullopt;
  return text;
}

bool Options::Flag(std::string_view key) const { return Text(key) == "true"; }

int64_t Options::Int(std::string_view key) const {
  return ParseNumber<int64_t>(key, Text(key), "a whole number");
}

std::optional<int64_t> Options::OptionalInt(std::string_view key) const {
  if (Text(key).empty()) return std::nullopt;
  return Int(key);
}

double Options::Real(std::string_view key) const { return ParseNumber<double>(key, Text(key), "a number"); }

std::optional<double> Options::RealIfGiven(std::string_view key) const {
  if (Text(key).empty()) return {};
  return Real(key);
}

std::vector<int64_t> Options::IntList(std::string_view key) const {
  std::vector<int64_t> list;
  std::string_view text = Text(key);
  while (true) {
    const size_t comma = text.find(',');
    list.push_back(ParseNumber<int64_t>(key, text.substr(0, comma), "whole numbers such as 4,5,6"));
    CheckBounds(Row(key), static_cast<double>(list.back()), std::to_string(list.back()));
    if (comma == text.npos) return list;
    text.remove_prefix(comma + 1);
  }
}

void Options::CheckAllRead() const {
  std::string unread;
  for (const OptionRow& row : rows_) {
    const Value& value = At(row.key);
    if (value.read || value.origin == kDefault) continue;
    unread += fmt::format("{}{} = {} ({}) is not used by this run", unread.empty() ? "" : "; ", row.key,
                          Printable(value.text), value.origin);
    if (row.only[0] != '\0') unread += fmt::format(", only {}", row.only);
  }
  GAS_CHECK(unread.empty(), Errc::kBadOption, unread);
}

std::string Options::Describe() const {
  size_t width = 0;
  for (const OptionRow& row : rows_) width = std::max(width, std::string(row.key).size());
  std::string text;
  for (const OptionRow& row : rows_) {
    const Value& value = At(row.key);
    text += fmt::format("{:<{}} = {}  ({})\n", row.key, width,
                        value.text.empty() ? "(none)" : Printable(value.text, kLongestShown), value.origin);
  }
  return text;
}

nlohmann::json Options::ToJson() const {
  nlohmann::json json = nlohmann::json::object();
  for (const auto& [key, value] : values_) json[key] = {{"value", value.text}, {"from", value.origin}};
  return json;
}

}  // namespace gas::cli
