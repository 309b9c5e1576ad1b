// Whether AutocastGuard (core/torch.h) is at work.
#ifndef GAS_CORE_AUTOCAST_H_
#define GAS_CORE_AUTOCAST_H_

#include "gas/core/torch.h"

namespace gas {

// Whether convolutions and matrix products on `device` are automatically cast on this thread.
bool AutocastEnabled(torch::DeviceType device);

}  // namespace gas

#endif  // GAS_CORE_AUTOCAST_H_
