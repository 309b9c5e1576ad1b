#include "gas/memory/working_peak.h"

#include <algorithm>

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

}  // namespace gas
