// Help on a terminal, 100 columns wide.
#ifndef GAS_CLI_HELP_H_
#define GAS_CLI_HELP_H_

#include <span>
#include <string>

#include "gas/cli/options.h"

namespace gas::cli {

inline constexpr size_t kHelpColumns = 100;

// What `gas --help` prints: the verbs, a line each.
std::string Overview(std::span<const Verb> verbs);
// What `gas VERB --help` and `gas help VERB` print.
std::string HelpOf(const Verb& verb);

// A name and what it is, the text beginning in column `indent` and wrapped at kHelpColumns; a name that is
// too long has a line of its own.
std::string HelpEntry(const std::string& name, std::string_view text, size_t indent);

}  // namespace gas::cli

#endif  // GAS_CLI_HELP_H_
