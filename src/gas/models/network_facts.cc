#include "gas/models/network_facts.h"

#include "gas/core/error.h"
#include "gas/io/json.h"

namespace gas {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxNameBytes = 256;
constexpr int64_t kMaxSide = 65536;
constexpr int64_t kMaxSampleNumbers = int64_t{1} << 28;  // 1 GiB of float32
constexpr int64_t kMaxClasses = 1'000'000'000;           // as the bound of sample.class

std::string TextEntry(std::string_view where, const Json& json, const char* key) {
  const Json& entry = RequiredEntry(where, json, key);
  const std::string text = entry.is_string() ? entry.get<std::string>() : "";
  GAS_CHECK(!text.empty() && text.size() <= kMaxNameBytes, Errc::kBadFile, where, ": \"", key,
            "\" = ", Shown(entry), ", must be a text of 1 to ", kMaxNameBytes, " bytes");
  return text;
}

std::string RankText(const RankRange& rank) {
  if (rank.least == 3 && rank.most == 3) return "[C,H,W], three numbers";
  return "a list of " + std::to_string(rank.least) + " to " + std::to_string(rank.most) + " numbers";
}

std::vector<int64_t> ShapeEntry(std::string_view where, const Json& json, const RankRange& rank) {
  const Json& entry = RequiredEntry(where, json, "shape");
  GAS_CHECK(entry.is_array() && entry.size() >= rank.least && entry.size() <= rank.most, Errc::kBadFile,
            where, ": \"shape\" = ", Shown(entry), ", must be ", RankText(rank));
  std::vector<int64_t> shape;
  int64_t numbers = 1;
  for (const Json& side : entry) {
    GAS_CHECK(side.is_number_integer() && side >= 1 && side <= kMaxSide, Errc::kBadFile, where,
              ": \"shape\" = ", Shown(entry), ", must be ", RankText(rank), ", each from 1 to ", kMaxSide);
    shape.push_back(side.get<int64_t>());
    GAS_CHECK(numbers <= kMaxSampleNumbers / shape.back(), Errc::kBadFile, where,
              ": \"shape\" = ", Shown(entry), ", must be at most 2^28 numbers in all");
    numbers *= shape.back();
  }
  return shape;
}

int64_t ClassesEntry(std::string_view where, const Json& json) {
  const auto found = json.find("classes");
  if (found == json.end()) return 0;
  GAS_CHECK(found->is_number_integer() && *found >= 0 && *found <= kMaxClasses, Errc::kBadFile, where,
            ": \"classes\" = ", Shown(*found), ", must be a whole number in [0, ", kMaxClasses, "]");
  return found->get<int64_t>();
}

}  // namespace

const Json& RequiredEntry(std::string_view where, const Json& json, const char* key) {
  const auto found = json.find(key);
  GAS_CHECK(found != json.end(), Errc::kBadFile, where, ": \"", key, "\" is missing");
  return *found;
}

NetworkFacts ParseNetworkFacts(std::string_view where, const Json& json, const RankRange& rank) {
  NetworkFacts facts;
  facts.name = TextEntry(where, json, "name");
  facts.shape = ShapeEntry(where, json, rank);
  facts.classes = ClassesEntry(where, json);
  const std::string prediction = TextEntry(where, json, "prediction");
  const Json& schedule = RequiredEntry(where, json, "schedule");
  try {
    facts.prediction = kPredictionTypeNames.FromName(prediction);
    facts.schedule = ScheduleFromJson(schedule);
  } catch (const Error& error) {  // it came from the network's side, not from an option
    Fail(Errc::kBadFile, where, ": ", error.what());
  }
  return facts;
}

}  // namespace gas
