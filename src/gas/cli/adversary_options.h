// The options of `gas train --method gas`.
#ifndef GAS_CLI_ADVERSARY_OPTIONS_H_
#define GAS_CLI_ADVERSARY_OPTIONS_H_

#include <vector>

#include "gas/cli/options.h"
#include "gas/train/make_adversary.h"

namespace gas::cli {

std::vector<OptionRow> AdversaryRows();

// The adversary that they describe.
AdversarySettings ReadAdversarySettings(const Options& options);

}  // namespace gas::cli

#endif  // GAS_CLI_ADVERSARY_OPTIONS_H_
