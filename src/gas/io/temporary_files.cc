#include "gas/io/temporary_files.h"

#include <unistd.h>

#include <atomic>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "gas/io/processes.h"

namespace gas {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kEnd = ".tmp";

std::string BeginOfNames() { return ".gas-" + HostName() + "-"; }

// A number as we write it, at least 1 digit and nothing else.
std::optional<int64_t> NumberIn(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = error == std::errc() && end == text.data() + text.size() && number >= 0;
  return whole ? std::optional(number) : std::nullopt;
}

// The process of this host that gave a file this name; nothing for other names.
std::optional<int64_t> WriterOf(std::string_view name, std::string_view begin) {
  if (!name.starts_with(begin) || !name.ends_with(kEnd)) return std::nullopt;
  name.remove_prefix(begin.size());
  name.remove_suffix(kEnd.size());
  const size_t dash = name.find('-');
  if (dash == name.npos || !NumberIn(name.substr(dash + 1))) return std::nullopt;
  return NumberIn(name.substr(0, dash));
}

}  // namespace

fs::path NextTemporaryPath(const fs::path& folder) {
  static std::atomic<unsigned> counter{0};
  return folder / fmt::format("{}{}-{}{}", BeginOfNames(), ::getpid(), counter++, kEnd);
}

void RemoveAbandonedTemporaries(const fs::path& folder) {
  const std::string begin = BeginOfNames();
  std::vector<fs::path> abandoned;
  std::error_code ignored;
  fs::directory_iterator entries(folder, ignored);
  for (; !ignored && entries != fs::directory_iterator(); entries.increment(ignored)) {
    const std::optional<int64_t> writer = WriterOf(entries->path().filename().string(), begin);
    if (writer && *writer > 0 && !IsProcess(*writer)) abandoned.push_back(entries->path());
  }
  for (const fs::path& path : abandoned) fs::remove(path, ignored);
}

}  // namespace gas
