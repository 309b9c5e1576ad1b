// The options of networks in other processes.
#ifndef GAS_CLI_WORKER_OPTIONS_H_
#define GAS_CLI_WORKER_OPTIONS_H_

#include <vector>

#include "gas/cli/options.h"
#include "gas/models/worker_options.h"

namespace gas::cli {

// model.workers and model.worker_timeout.
std::vector<OptionRow> WorkerRows();
WorkerOptions ReadWorkers(const Options& options);

}  // namespace gas::cli

#endif  // GAS_CLI_WORKER_OPTIONS_H_
