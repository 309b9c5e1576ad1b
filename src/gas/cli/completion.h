// Completion of the command line in a shell.
#ifndef GAS_CLI_COMPLETION_H_
#define GAS_CLI_COMPLETION_H_

#include <span>
#include <string>

#include "gas/cli/options.h"

namespace gas::cli {

enum class Shell { kBash, kZsh };
inline constexpr auto kShellNames =
    NamesOf<Shell>("completion.shell", {{Shell::kBash, "bash"}, {Shell::kZsh, "zsh"}});

// A script that the shell reads: verbs, options, and the values of those that have names or files.
std::string CompletionScript(Shell shell, std::span<const Verb> verbs);

}  // namespace gas::cli

#endif  // GAS_CLI_COMPLETION_H_
