// --memory, and what --dry-run says of memory.
#ifndef GAS_CLI_MEMORY_OPTION_H_
#define GAS_CLI_MEMORY_OPTION_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "gas/cli/options.h"

namespace gas::cli {

// run.memory; `chooses` says what the verb fits into it.
OptionRow MemoryRow(const char* chooses);

// Bytes of "8GiB", "512 MiB" or "1.5TiB". Throws Error(kBadOption) for another text.
int64_t ParseMemory(const std::string& text);

// Reads run.memory, nothing if it is not given.
std::optional<int64_t> ReadMemory(const Options& options);

// "peak memory: 1.23 GiB, HOW", from the bytes and what `predict` says of them. Where a file or a device that
// the run needs is not there, why nothing is predicted.
struct Forecast {
  int64_t bytes = 0;
  std::string how;
};
std::string ForecastText(const std::function<Forecast()>& predict);

}  // namespace gas::cli

#endif  // GAS_CLI_MEMORY_OPTION_H_
