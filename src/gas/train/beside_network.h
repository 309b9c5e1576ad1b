// What a training step takes beside the evaluations of its network, measured on one sample.
#ifndef GAS_TRAIN_BESIDE_NETWORK_H_
#define GAS_TRAIN_BESIDE_NETWORK_H_

#include <optional>

#include "gas/memory/run_memory.h"
#include "gas/models/model.h"
#include "gas/train/distance.h"
#include "gas/train/make_adversary.h"

namespace gas {

// Computes the distance of a sample, and, with an adversary, makes one of its own and a step of it. `samples`
// are trained on; of their features no more than `cache_bytes` are kept.
BesideNetwork MeasureBesideNetwork(const Model& model, const Distance& distance, int64_t samples,
                                   uint64_t cache_bytes, const std::optional<AdversarySettings>& adversary);

}  // namespace gas

#endif  // GAS_TRAIN_BESIDE_NETWORK_H_
