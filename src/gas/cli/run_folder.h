// The folder of a run.
#ifndef GAS_CLI_RUN_FOLDER_H_
#define GAS_CLI_RUN_FOLDER_H_

#include <string>

#include "gas/cli/options.h"

namespace gas::cli {

// Creates the folder and writes options.json, the resolved options with where each came from, into it.
void PrepareRunFolder(const std::string& folder, const Options& options);

}  // namespace gas::cli

#endif  // GAS_CLI_RUN_FOLDER_H_
