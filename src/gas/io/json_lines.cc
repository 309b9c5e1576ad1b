#include "gas/io/json_lines.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "gas/core/error.h"
#include "gas/io/file.h"
#include "gas/io/json.h"

namespace gas {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr uint64_t kMaxJsonLinesBytes = uint64_t{1} << 30;

// How many bytes the whole lines of `text` have.
size_t WholeLines(std::string_view text) {
  const size_t end = text.rfind('\n');
  return end == text.npos ? 0 : end + 1;
}

}  // namespace

std::vector<Json> ReadJsonLines(const fs::path& path) {
  std::vector<Json> lines;
  if (!fs::exists(path)) return lines;
  const Bytes bytes = ReadFile(path, kMaxJsonLinesBytes);
  std::string_view rest(bytes.data(), bytes.size());
  rest = rest.substr(0, WholeLines(rest));
  while (!rest.empty()) {
    const size_t end = rest.find('\n');
    lines.push_back(
        ParseJson(path.string() + ", line " + std::to_string(lines.size() + 1), rest.substr(0, end)));
    rest.remove_prefix(end + 1);
  }
  return lines;
}

JsonLinesWriter::JsonLinesWriter(const fs::path& path)
    : path_(path), fd_(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666)) {
  if (!fd_.valid()) Refuse("open");
  RemoveHalfLine();
}

void JsonLinesWriter::RemoveHalfLine() {
  const Bytes bytes = ReadFile(path_, kMaxJsonLinesBytes);
  const size_t whole = WholeLines({bytes.data(), bytes.size()});
  if (whole == bytes.size()) return;
  if (::ftruncate(fd_.get(), static_cast<off_t>(whole)) != 0) Refuse("shorten");
}

void JsonLinesWriter::Add(const Json& line) {
  const std::string text = line.dump() + "\n";
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t n = ::write(fd_.get(), rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) Refuse("write");
    rest.remove_prefix(static_cast<size_t>(n));
  }
}

void JsonLinesWriter::Refuse(const char* what) const {
  const int error = errno;
  Fail(Errc::kIo, path_.string(), ": cannot ", what, " it: ", std::strerror(error));
}

}  // namespace gas
