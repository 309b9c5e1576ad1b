// What a network that is not ours says of itself, in JSON: the same keys wherever it comes from.
#ifndef GAS_MODELS_NETWORK_FACTS_H_
#define GAS_MODELS_NETWORK_FACTS_H_

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "gas/schedule/denoiser.h"
#include "gas/schedule/noise_schedule.h"

namespace gas {

struct NetworkFacts {
  std::string name;
  std::vector<int64_t> shape;  // of a sample
  int64_t classes = 0;         // 0: unconditional
  PredictionType prediction = PredictionType::kData;
  SchedulePtr schedule;
};

// How many sides a sample may have.
struct RankRange {
  size_t least = 1, most = 8;
};

// The entries name, shape, classes (0 if absent), prediction and schedule of an object. Throws
// Error(kBadFile), which begins with `where`, for one that is missing or impossible.
NetworkFacts ParseNetworkFacts(std::string_view where, const nlohmann::json& json, const RankRange& rank);

// An entry that must be there.
const nlohmann::json& RequiredEntry(std::string_view where, const nlohmann::json& json, const char* key);

}  // namespace gas

#endif  // GAS_MODELS_NETWORK_FACTS_H_
