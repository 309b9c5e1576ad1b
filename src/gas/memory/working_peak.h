// The most memory that some work takes at once beside what was there before.
#ifndef GAS_MEMORY_WORKING_PEAK_H_
#define GAS_MEMORY_WORKING_PEAK_H_

#include <cstdint>
#include <functional>

#include "gas/core/allocation_meter.h"
#include "gas/core/memory.h"
#include "gas/core/torch.h"

namespace gas {

// Of a CPU it is resident memory, which exceeds the tensors by what the heap cannot use between them, and by
// what libraries allocate on their own; program pages that the work touches first are left out. Where the
// system does not tell, and on other devices, it is the tensors that this thread makes. Nothing else may work
// meanwhile, and one measures at a time.
class WorkingPeak {
 public:
  explicit WorkingPeak(torch::Device device);

  int64_t bytes() const;                                   // the peak so far
  int64_t tensors() const { return meter_.live_bytes(); }  // that are alive now, of those made meanwhile

 private:
  bool resident_;  // whether resident memory is looked at
  ResidentMemory before_;
  AllocationMeter meter_;
};

// WorkingPeak of `work`, with a batch computed as a whole.
int64_t WorkingBytes(torch::Device device, const std::function<void()>& work);

}  // namespace gas

#endif  // GAS_MEMORY_WORKING_PEAK_H_
