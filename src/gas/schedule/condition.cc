#include "gas/schedule/condition.h"

#include <functional>

#include "gas/core/error.h"

namespace gas {
namespace {

constexpr const char* kLabels = "labels";
constexpr std::string_view kTensorPrefix = "condition.";

using Change = std::function<Tensor(const Tensor&)>;

// Every entry of `condition` changed alike.
Condition Each(const Condition& condition, const Change& change) {
  Condition result;
  if (condition.labels.defined()) result.labels = change(condition.labels);
  for (const auto& [name, tensor] : condition.tensors) result.tensors[name] = change(tensor);
  return result;
}

void CheckSameEntries(const Condition& first, const Condition& second) {
  GAS_CHECK(first.labels.defined() == second.labels.defined(), Errc::kBadOption,
            "conditions with labels and without cannot be joined");
  for (const auto& [name, tensor] : first.tensors) {
    GAS_CHECK(second.tensors.contains(name), Errc::kBadOption, "condition ", name,
              " is missing in one of two that are joined");
  }
  GAS_CHECK(first.tensors.size() == second.tensors.size(), Errc::kBadOption, "conditions of ",
            first.tensors.size(), " and ", second.tensors.size(), " entries cannot be joined");
}

}  // namespace

Condition Condition::Rows(int64_t begin, int64_t end) const {
  return Each(*this, [&](const Tensor& all) { return all.slice(0, begin, end); });
}

Condition Condition::Repeated(int64_t batch) const {
  return Each(*this, [&](const Tensor& row) {
    GAS_ASSERT(row.size(0) == 1);
    std::vector<int64_t> shape = row.sizes().vec();
    shape[0] = batch;
    return row.expand(shape);
  });
}

Condition Condition::To(torch::Device device) const {
  // From the CPU without waiting; towards it the host needs what it reads.
  return Each(*this, [&](const Tensor& all) {
    return all.to(device, all.scalar_type(), /*non_blocking=*/all.is_cpu());
  });
}

Condition Condition::Select(const Tensor& indices) const {
  return Each(*this, [&](const Tensor& all) { return all.index_select(0, indices); });
}

Condition Condition::Joined(const std::vector<Condition>& parts) {
  std::vector<Tensor> labels;
  std::map<std::string, std::vector<Tensor>> tensors;
  for (const Condition& part : parts) {
    CheckSameEntries(parts.front(), part);
    if (part.labels.defined()) labels.push_back(part.labels);
    for (const auto& [name, tensor] : part.tensors) tensors[name].push_back(tensor);
  }
  Condition result;
  if (!labels.empty()) result.labels = torch::cat(labels);
  for (const auto& [name, all] : tensors) result.tensors[name] = torch::cat(all);
  return result;
}

std::map<std::string, Tensor> Condition::Named() const {
  std::map<std::string, Tensor> named;
  if (labels.defined()) named[kLabels] = labels;
  for (const auto& [name, tensor] : tensors) named[std::string(kTensorPrefix) + name] = tensor;
  return named;
}

Condition Condition::FromNamed(const std::map<std::string, Tensor>& named) {
  Condition result;
  for (const auto& [name, tensor] : named) {
    if (name == kLabels) result.labels = tensor;
    if (name.starts_with(kTensorPrefix)) result.tensors[name.substr(kTensorPrefix.size())] = tensor;
  }
  return result;
}

}  // namespace gas
