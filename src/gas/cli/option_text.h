// What option rows say in words: shared by help, docs/options.md, the manual page and completion.
#ifndef GAS_CLI_OPTION_TEXT_H_
#define GAS_CLI_OPTION_TEXT_H_

#include <span>
#include <string>
#include <vector>

#include "gas/cli/options.h"

namespace gas::cli {

// Options that every verb has: --config, --dry-run, --help.
std::span<const OptionRow> CommonRows();

// Whether it is given by its place, without a flag.
bool IsPositional(const OptionRow& row);
// "INT", "SOLVER"; "" for a flag.
std::string ValueName(const OptionRow& row);
// "--nfe INT".
std::string FlagText(const OptionRow& row);
// The help, with the choices and what they mean.
std::string MeaningText(const OptionRow& row);
// The same with default and with the runs that use it: "samples at once [64]".
std::string FullText(const OptionRow& row);

// Rows under a heading, in their order.
struct OptionGroup {
  std::string heading;  // "Solver", "Adversary, only with --method gas"
  std::vector<OptionRow> rows;
};
// The groups in the order of their first rows, and CommonRows as the last.
std::vector<OptionGroup> Grouped(const Verb& verb);

}  // namespace gas::cli

#endif  // GAS_CLI_OPTION_TEXT_H_
