#include "gas/memory/working_peak.h"

#include <algorithm>

#include "gas/core/interrupt.h"
#include "gas/models/batch_parallel.h"

namespace gas {

WorkingPeak::WorkingPeak(torch::Device device) {
  ReturnFreedMemory();
  before_ = ResidentNow();
  resident_ = device.is_cpu() && ResetPeakMemory();
}

int64_t WorkingPeak::bytes() const {
  const int64_t tensors = meter_.peak_bytes();
  if (!resident_) return tensors;
  const int64_t own = PeakBytes() - before_.anonymous - std::max(before_.files, ResidentNow().files);
  return std::max(tensors, own);
}

int64_t WorkingBytes(torch::Device device, const std::function<void()>& work) {
  const WholeBatchGuard whole;
  CheckInterrupt();
  const WorkingPeak peak(device);
  work();
  return peak.bytes();
}

}  // namespace gas
