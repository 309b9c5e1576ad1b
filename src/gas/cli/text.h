// How verbs print what several of them print.
#ifndef GAS_CLI_TEXT_H_
#define GAS_CLI_TEXT_H_

#include <string>

#include <nlohmann/json.hpp>

namespace gas::cli {

// A distance or a loss: six decimals, or, where these would leave less than three digits, scientific.
std::string DistanceText(double distance);

// JSON on one line, with the first and the last of long lists and how many there are.
std::string ShortJson(const nlohmann::json& json);

}  // namespace gas::cli

#endif  // GAS_CLI_TEXT_H_
