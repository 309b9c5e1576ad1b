// The options of `gas train --method gas`, and the adversary that they describe.
#ifndef GAS_CLI_ADVERSARY_OPTIONS_H_
#define GAS_CLI_ADVERSARY_OPTIONS_H_

#include <memory>
#include <vector>

#include "gas/cli/options.h"
#include "gas/models/model.h"
#include "gas/train/adversary.h"

namespace gas::cli {

std::vector<OptionRow> AdversaryRows();

struct AdversarySettings {
  std::string discriminator;  // a name, or a file of weights
  AdversaryOptions options;
};
AdversarySettings ReadAdversarySettings(const Options& options);

// A fresh one, its weights drawn from `seed`. Throws Error(kBadOption) for settings that do not fit the
// model.
std::shared_ptr<Adversary> MakeAdversary(const AdversarySettings& settings, const Model& model,
                                         uint64_t seed);

}  // namespace gas::cli

#endif  // GAS_CLI_ADVERSARY_OPTIONS_H_
