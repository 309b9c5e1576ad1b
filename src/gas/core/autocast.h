// Whether AutocastGuard (core/torch.h) is at work.
#ifndef GAS_CORE_AUTOCAST_H_
#define GAS_CORE_AUTOCAST_H_

#include "gas/core/torch.h"

namespace gas {

// Whether convolutions and matrix products on `device` are automatically cast on this thread.
bool AutocastEnabled(torch::DeviceType device);

// While one exists, an AutocastGuard of any thread casts nothing: a model that was opened in a narrow dtype
// computes in float32, with the same weights. One at a time.
class NoAutocastGuard {
 public:
  NoAutocastGuard();
  ~NoAutocastGuard();
  NoAutocastGuard(const NoAutocastGuard&) = delete;
  NoAutocastGuard& operator=(const NoAutocastGuard&) = delete;
};

}  // namespace gas

#endif  // GAS_CORE_AUTOCAST_H_
