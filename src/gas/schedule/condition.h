// What samples are conditioned on, whatever the kind of network.
#ifndef GAS_SCHEDULE_CONDITION_H_
#define GAS_SCHEDULE_CONDITION_H_

#include <map>
#include <string>
#include <vector>

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
  // Rows indices[0], indices[1], ..., where indices is [K] int64.
  Condition Select(const Tensor& indices) const;
  // A condition of one row as `batch` rows, sharing memory.
  Condition Repeated(int64_t batch) const;
  Condition To(torch::Device device) const;

  // The rows of all parts, one part after the other; empty without parts. Throws Error(kBadOption) unless all
  // have the same entries.
  static Condition Joined(const std::vector<Condition>& parts);

  // The entries by the names under which files keep them: "labels", and "condition.NAME" of each tensor.
  std::map<std::string, Tensor> Named() const;
  // Those entries of `named`; tensors of other names are left.
  static Condition FromNamed(const std::map<std::string, Tensor>& named);
};

}  // namespace gas

#endif  // GAS_SCHEDULE_CONDITION_H_
