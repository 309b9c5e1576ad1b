// What decides the result of a training run, so that a checkpoint is continued by the same run alone.
#ifndef GAS_TRAIN_FINGERPRINT_H_
#define GAS_TRAIN_FINGERPRINT_H_

#include <nlohmann/json.hpp>

#include "gas/train/checkpoint.h"

namespace gas {

// Keys such as "train.lr" with their values, in the order of their names: {"train.lr": 0.001, ...}.
using Fingerprint = nlohmann::json;

// Throws Error(kBadFile), which names the file, the first key that differs and both values. Keys that both
// have come first.
void CheckSameFingerprint(const Checkpoint& file, const Fingerprint& now);

// How many iterations the checkpoint has made, at most `asked`. Throws Error(kBadFile) for any other number.
int64_t CheckIterations(const Checkpoint& file, int64_t asked);

}  // namespace gas

#endif  // GAS_TRAIN_FINGERPRINT_H_
