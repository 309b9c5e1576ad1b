// The files of an LPIPS, which several verbs take.
#ifndef GAS_CLI_LPIPS_OPTIONS_H_
#define GAS_CLI_LPIPS_OPTIONS_H_

#include <vector>

#include "gas/cli/options.h"
#include "gas/features/lpips.h"

namespace gas::cli {

// Under which keys a verb has `--lpips-trunk` and `--lpips-heads`.
struct LpipsKeys {
  const char* trunk;
  const char* heads;
};

std::vector<OptionRow> LpipsRows(const LpipsKeys& keys, const char* only);
LpipsFiles ReadLpipsFiles(const Options& options, const LpipsKeys& keys);

}  // namespace gas::cli

#endif  // GAS_CLI_LPIPS_OPTIONS_H_
