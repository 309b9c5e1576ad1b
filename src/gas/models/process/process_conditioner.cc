#include "gas/models/process/process_conditioner.h"

#include "gas/core/error.h"
#include "gas/io/json.h"
#include "gas/models/guidance.h"
#include "gas/models/process/request_text.h"
#include "gas/models/prompt_lines.h"

namespace gas {
namespace {

using Json = nlohmann::json;

Json TextOrNull(const std::optional<std::string>& text) { return text ? Json(*text) : Json(nullptr); }

}  // namespace

std::string ProcessConditioner::TextOf(const Json& what, std::optional<Seed> seed) const {
  Json request = what;
  if (options_.size) request["size"] = {options_.size->width, options_.size->height};
  if (hello_.seeds && seed) request["seed"] = *seed;
  for (const auto& [key, value] : request.items()) {
    GAS_CHECK(!value.is_string() || IsUtf8(value.get<std::string>()), Errc::kBadOption, key,
              " is not UTF-8, which a process is told");
  }
  return request.dump();
}

Condition ProcessConditioner::Of(std::span<const Request> requests) const {
  const bool here = hello_.guidance == GuidanceSide::kHere;
  std::vector<std::string> texts, negatives;
  for (const PromptLine& line : PromptLinesFor(requests, options_)) {
    const std::optional<Seed> seed = requests[texts.size()].seed;
    Json request = {{"prompt", line.prompt}};
    if (hello_.guidance == GuidanceSide::kWorker) request["negative"] = TextOrNull(line.negative);
    texts.push_back(TextOf(request, seed));
    const Json negative = {{"negative", TextOrNull(line.negative)}};
    negatives.push_back(TextOf(negative, seed));
  }
  Condition condition;
  condition.tensors[kRequestEntry] = RequestRows(texts);
  // Beside the one for all that None gives.
  if (here && (options_.prompts.has_negatives() || hello_.seeds)) {
    condition.tensors[std::string(kNegativePrefix) + kRequestEntry] = RequestRows(negatives);
  }
  return condition;
}

std::optional<Condition> ProcessConditioner::None() const {
  if (hello_.guidance != GuidanceSide::kHere) return std::nullopt;
  const Json negative = {{"negative", TextOrNull(options_.negative)}};
  Condition condition;
  condition.tensors[kRequestEntry] = RequestRows({TextOf(negative, {})});
  return condition;
}

Condition ProcessConditioner::Placeholder(int64_t batch) const {
  Condition condition;
  Json request = {{"prompt", ""}};
  if (hello_.guidance == GuidanceSide::kWorker) request["negative"] = nullptr;
  const std::string text = TextOf(request, hello_.seeds ? std::optional<Seed>(0) : std::nullopt);
  condition.tensors[kRequestEntry] = RequestRows(std::vector<std::string>(static_cast<size_t>(batch), text));
  return condition;
}

}  // namespace gas
