// What samples are conditioned on, whatever the kind of network.
#ifndef GAS_SCHEDULE_CONDITION_H_
#define GAS_SCHEDULE_CONDITION_H_

#include <map>
#include <string>

#include "gas/core/torch.h"

namespace gas {

// Row i belongs to sample i. A network takes what it knows by name and leaves the rest.
struct Condition {
  Tensor labels = {};                          // [B] int64 class, -1 for none; undefined without classes
  std::map<std::string, Tensor> tensors = {};  // [B,...] each: "text" [B,L,D], "pooled" [B,D], ...

  // Whether there is nothing that a sample could be conditioned on.
  bool empty() const { return !labels.defined() && tensors.empty(); }

  // Rows begin <= i < end, sharing memory.
  Condition Rows(int64_t begin, int64_t end) const;
  // A condition of one row as `batch` rows, sharing memory.
  Condition Repeated(int64_t batch) const;
  Condition To(torch::Device device) const;

  // The rows of `first`, then those of `second`. Throws Error(kBadOption) unless both have the same entries.
  static Condition Joined(const Condition& first, const Condition& second);
};

}  // namespace gas

#endif  // GAS_SCHEDULE_CONDITION_H_
