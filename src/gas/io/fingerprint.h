// What decides the result of a run, so that what an interrupted one has left is continued by the same run
// alone.
#ifndef GAS_IO_FINGERPRINT_H_
#define GAS_IO_FINGERPRINT_H_

#include <string>

#include <nlohmann/json.hpp>

#include "gas/io/checkpoint.h"

namespace gas {

// Keys such as "train.lr" with their values, in the order of their names: {"train.lr": 0.001, ...}.
using Fingerprint = nlohmann::json;

// Throws Error(kBadFile), which names the file, the first key that differs and both values. Keys that both
// have come first.
void CheckSameFingerprint(const std::string& file, const Fingerprint& then, const Fingerprint& now);

// The same with the entry "fingerprint" of a checkpoint.
void CheckSameFingerprint(const Checkpoint& file, const Fingerprint& now);

}  // namespace gas

#endif  // GAS_IO_FINGERPRINT_H_
