// Files of JSON lines: logs and journals, to which a line is added at a time.
#ifndef GAS_IO_JSON_LINES_H_
#define GAS_IO_JSON_LINES_H_

#include <filesystem>
#include <vector>

#include <nlohmann/json.hpp>

#include "gas/io/descriptor.h"

namespace gas {

// The lines of a file, in order; none if there is no such file. What stands behind the last end of line is
// passed over: a killed writer has left it. Throws Error(kBadFile) for a line that is not JSON.
std::vector<nlohmann::json> ReadJsonLines(const std::filesystem::path& path);

// Adds lines to those that are there; half a line at the end of the file is removed first.
class JsonLinesWriter {
 public:
  // Creates the file if there is none; a folder that is missing is Error(kIo).
  explicit JsonLinesWriter(const std::filesystem::path& path);
  // One line, handed to the system before this returns. Throws Error(kIo), naming path and cause.
  void Add(const nlohmann::json& line);

 private:
  [[noreturn]] void Refuse(const char* what) const;
  void RemoveHalfLine();

  std::filesystem::path path_;
  Descriptor fd_;
};

}  // namespace gas

#endif  // GAS_IO_JSON_LINES_H_
