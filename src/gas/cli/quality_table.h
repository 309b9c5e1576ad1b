// Measured quality as people read it.
#ifndef GAS_CLI_QUALITY_TABLE_H_
#define GAS_CLI_QUALITY_TABLE_H_

#include <string>
#include <vector>

#include "gas/eval/quality.h"

namespace gas::cli {

// A Markdown table, one row each, with spreads where there are several blocks. Distances have three
// significant digits; a column is there if a row has it.
std::string QualityTable(const std::vector<Quality>& rows);

}  // namespace gas::cli

#endif  // GAS_CLI_QUALITY_TABLE_H_
