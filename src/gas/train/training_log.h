// The log of a training run: a line of JSON for each iteration.
#ifndef GAS_TRAIN_TRAINING_LOG_H_
#define GAS_TRAIN_TRAINING_LOG_H_

#include <filesystem>

#include <nlohmann/json.hpp>

#include "gas/train/training_run.h"

namespace gas {

// What was measured in this iteration; what was not has no key.
nlohmann::json LogLine(const GsStep& step);

// log.jsonl in the run folder; lines are added to those that are there.
std::filesystem::path LogIn(const std::filesystem::path& folder);

}  // namespace gas

#endif  // GAS_TRAIN_TRAINING_LOG_H_
