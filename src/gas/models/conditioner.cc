#include "gas/models/conditioner.h"

#include "gas/core/error.h"

namespace gas {

Condition Conditioner::Placeholder(int64_t batch) const { return Of(RequestsFor(SeedRange(0, batch))); }

Condition ClassConditioner::Of(std::span<const Request> requests) const {
  std::vector<Seed> seeds;
  for (const Request& request : requests) {
    seeds.push_back(request.seed);
    GAS_CHECK(classes_ > 0 || !request.label, Errc::kBadOption, "class ", request.label.value_or(0),
              " is asked of a model without classes");
    GAS_CHECK(!request.prompt, Errc::kBadOption, "a prompt is asked of a model that takes none");
  }
  if (classes_ == 0) return {};
  Tensor labels = LabelsFor(seeds, classes_);
  for (size_t i = 0; i < requests.size(); ++i) {
    if (!requests[i].label) continue;
    const int64_t label = *requests[i].label;
    const int64_t least = has_none_ ? -1 : 0;
    GAS_CHECK(label >= least && label < classes_, Errc::kBadOption, "class ", label, ", must be in [", least,
              ", ", classes_ - 1, "]", has_none_ ? " (-1: none)" : "");
    labels[static_cast<int64_t>(i)] = label;
  }
  return {.labels = labels};
}

std::optional<Condition> ClassConditioner::None() const {
  if (classes_ == 0 || !has_none_) return std::nullopt;
  return Condition{.labels = torch::full({1}, -1, torch::kInt64)};
}

std::vector<Request> RequestsFor(std::span<const Seed> seeds, const Request& like) {
  std::vector<Request> requests;
  for (const Seed seed : seeds) {
    requests.push_back(like);
    requests.back().seed = seed;
  }
  return requests;
}

}  // namespace gas
