#include "gas/cli/grid_option.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "gas/core/error.h"
#include "gas/grid/time_grid.h"
#include "gas/io/file.h"
#include "gas/io/json.h"

namespace gas::cli {
namespace {

constexpr uint64_t kMaxGridBytes = 1 << 20;
constexpr std::string_view kLevels = "sigma:";

std::string ListOfJson(const std::string& path, const nlohmann::json& json) {
  if (json.is_object()) {
    const bool levels = json.contains("sigmas");
    GAS_CHECK(json.size() == 1 && (levels || json.contains("times")), Errc::kBadFile, path,
              ": must be a list, or an object with one entry times or sigmas");
    return std::string(levels ? kLevels : "") + ListOfJson(path, json.front());
  }
  std::vector<double> numbers;
  ReadField(path, json, numbers);
  return fmt::format("{:.17g}", fmt::join(numbers, ","));
}

// The numbers, which are looked at where the grid is made, with commas between them.
std::string ListOfText(std::string_view text) {
  const bool levels = text.starts_with(kLevels);
  if (levels) text.remove_prefix(kLevels.size());
  std::string list;
  bool between = false;
  for (const char c : text) {
    const bool separator = c == ',' || c == ' ' || c == '\t' || c == '\n' || c == '\r';
    if (!separator && between && !list.empty()) list += ',';
    if (!separator) list += c;
    between = separator;
  }
  return std::string(levels ? kLevels : "") + list;
}

std::string ListInFile(const std::string& path) {
  const Bytes bytes = ReadFile(path, kMaxGridBytes);
  const std::string_view text(bytes.data(), bytes.size());
  const size_t first = std::min(text.find_first_not_of(" \t\r\n"), text.size());
  const std::string_view content = text.substr(first);
  const bool json = content.starts_with('[') || content.starts_with('{');
  const std::string list = json ? ListOfJson(path, ParseJson(path, content)) : ListOfText(content);
  GAS_CHECK(IsListOfTimes(list), Errc::kBadFile, path, ": has no list of times or noise levels");
  return list;
}

}  // namespace

std::string ReadGrid(const Options& options, std::string_view key) {
  const std::string& text = options.Text(key);
  const bool list = IsListOfTimes(text) || text.starts_with(kLevels);
  return list || !LooksLikeFile(text) ? text : ListInFile(text);
}

}  // namespace gas::cli
