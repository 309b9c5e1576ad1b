// The options as documents: docs/options.md and the manual page.
#ifndef GAS_CLI_REFERENCE_H_
#define GAS_CLI_REFERENCE_H_

#include <span>
#include <string>

#include "gas/cli/options.h"

namespace gas::cli {

// docs/options.md: every verb with its options.
std::string OptionsAsMarkdown(std::span<const Verb> verbs);
// gas.1, in the man macros of troff.
std::string ManualPage(std::span<const Verb> verbs);

}  // namespace gas::cli

#endif  // GAS_CLI_REFERENCE_H_
