#include "gas/cli/memory_option.h"

#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "gas/core/error.h"
#include "gas/memory/run_memory.h"

namespace gas::cli {
namespace {

struct Unit {
  std::string_view name;
  int shift;  // a unit is 2^shift bytes
};
constexpr Unit kUnits[] = {{"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}};
constexpr double kMostBytes = 1e18;  // more is no memory, and would not fit into 64 bits

}  // namespace

OptionRow MemoryRow(const char* chooses) {
  return {.key = "run.memory",
          .flag = "--memory",
          .type = OptType::kText,
          .def = "",
          .help = fmt::format("memory that the run may take, such as 8GiB; chooses {} [as asked]", chooses),
          .value = "SIZE"};
}

int64_t ParseMemory(const std::string& text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  std::string_view unit(end, text.data() + text.size() - end);
  while (unit.starts_with(' ')) unit.remove_prefix(1);
  for (const Unit& known : kUnits) {
    const double bytes = std::ldexp(number, known.shift);
    if (error == std::errc() && unit == known.name && bytes > 0 && bytes < kMostBytes)
      return static_cast<int64_t>(bytes);
  }
  Fail(Errc::kBadOption, "run.memory = ", text,
       ", must be a positive number of KiB, MiB, GiB or TiB, such as 8GiB");
}

std::optional<int64_t> ReadMemory(const Options& options) {
  const std::string& text = options.Text("run.memory");
  if (text.empty()) return std::nullopt;
  return ParseMemory(text);
}

std::string ForecastText(const std::function<Forecast()>& predict) {
  try {
    const Forecast forecast = predict();
    return fmt::format("peak memory: {}, {}", MemoryText(forecast.bytes), forecast.how);
  } catch (const Error& error) {
    const bool missing = error.code() == Errc::kBadFile || error.code() == Errc::kUnavailable;
    if (!missing) throw;
    return fmt::format("peak memory: not predicted, {}", error.what());
  }
}

}  // namespace gas::cli
