#include "gas/io/json_file.h"

#include "gas/io/file.h"
#include "gas/io/json.h"

namespace gas {

nlohmann::json ReadJsonFile(const std::filesystem::path& path, uint64_t max_bytes) {
  const Bytes bytes = ReadFile(path, max_bytes);
  return ParseJson(path.string(), {bytes.data(), bytes.size()});
}

}  // namespace gas
