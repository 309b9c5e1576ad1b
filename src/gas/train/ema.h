// Exponential moving average of named tensors.
#ifndef GAS_TRAIN_EMA_H_
#define GAS_TRAIN_EMA_H_

#include <map>
#include <string>

#include "gas/core/torch.h"

namespace gas {

// Update k (1, 2, ...) moves the average by 1 - min(decay, (1 + k) / (10 + k)) towards the values, the
// warm-up of the reference, so that early averages are not dominated by the start.
class Ema {
 public:
  Ema(const std::map<std::string, Tensor>& values, double decay);

  void Update(const std::map<std::string, Tensor>& values);

  const std::map<std::string, Tensor>& average() const { return average_; }
  int64_t updates() const { return updates_; }
  // Throws Error(kBadFile), naming `file`, if a tensor is missing or has another shape.
  void Restore(const std::map<std::string, Tensor>& average, int64_t updates,
               const std::string& file = "checkpoint");

 private:
  double decay_;
  int64_t updates_ = 0;
  std::map<std::string, Tensor> average_;
};

}  // namespace gas

#endif  // GAS_TRAIN_EMA_H_
