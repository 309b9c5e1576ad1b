#include "gas/schedule/condition.h"

#include <functional>

#include "gas/core/error.h"

namespace gas {
namespace {

using Change = std::function<Tensor(const Tensor&)>;

// Every entry of `condition` changed alike.
Condition Each(const Condition& condition, const Change& change) {
  Condition result;
  if (condition.labels.defined()) result.labels = change(condition.labels);
  for (const auto& [name, tensor] : condition.tensors) result.tensors[name] = change(tensor);
  return result;
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

Condition Condition::Joined(const Condition& first, const Condition& second) {
  GAS_CHECK(first.labels.defined() == second.labels.defined(), Errc::kBadOption,
            "conditions with labels and without cannot be joined");
  Condition result;
  if (first.labels.defined()) result.labels = torch::cat({first.labels, second.labels});
  for (const auto& [name, tensor] : first.tensors) {
    const auto other = second.tensors.find(name);
    GAS_CHECK(other != second.tensors.end(), Errc::kBadOption, "condition ", name,
              " is missing in one of two that are joined");
    result.tensors[name] = torch::cat({tensor, other->second});
  }
  GAS_CHECK(first.tensors.size() == second.tensors.size(), Errc::kBadOption, "conditions of ",
            first.tensors.size(), " and ", second.tensors.size(), " entries cannot be joined");
  return result;
}

}  // namespace gas
