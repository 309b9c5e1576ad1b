// The time grid of an option: a name, a list, or a file with a list.
#ifndef GAS_CLI_GRID_OPTION_H_
#define GAS_CLI_GRID_OPTION_H_

#include <string>
#include <string_view>

#include "gas/cli/options.h"

namespace gas::cli {

// As MakeGrid takes it. A file holds JSON, a list of times or an object with one list `times` or `sigmas`
// (noise levels sigma / alpha), or text: numbers between commas, blanks and ends of lines, which are levels
// if the word sigma: stands before them. Throws Error(kBadFile) for a file of anything else.
std::string ReadGrid(const Options& options, std::string_view key);

}  // namespace gas::cli

#endif  // GAS_CLI_GRID_OPTION_H_
