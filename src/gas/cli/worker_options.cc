#include "gas/cli/worker_options.h"

#include <fmt/format.h>

namespace gas::cli {
namespace {

constexpr const char* kProcesses = "with a model in another process";

}  // namespace

std::vector<OptionRow> WorkerRows() {
  return {
      {.key = "model.workers",
       .flag = "--workers",
       .type = OptType::kInt,
       .def = "",
       .min = 1,
       .max = 256,
       .help =
           "processes that share every batch, each with its number in $GAS_WORKER, for one on each GPU [1]",
       .only = kProcesses},
      {.key = "model.worker_timeout",
       .flag = "--worker-timeout",
       .type = OptType::kReal,
       .def = "",
       .min = 0.01,
       .max = 1e6,
       .help = fmt::format("seconds that a process may take to answer one request [{}]", kWorkerTimeout),
       .only = kProcesses},
  };
}

WorkerOptions ReadWorkers(const Options& options) {
  return {.count = options.OptionalInt("model.workers"),
          .timeout_s = options.RealIfGiven("model.worker_timeout")};
}

}  // namespace gas::cli
