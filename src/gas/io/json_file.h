// A JSON file as a whole.
#ifndef GAS_IO_JSON_FILE_H_
#define GAS_IO_JSON_FILE_H_

#include <cstdint>
#include <filesystem>

#include <nlohmann/json.hpp>

namespace gas {

// Throws what ReadFile throws, for a file above `max_bytes` too, and what ParseJson throws, which names it.
nlohmann::json ReadJsonFile(const std::filesystem::path& path, uint64_t max_bytes);

}  // namespace gas

#endif  // GAS_IO_JSON_FILE_H_
