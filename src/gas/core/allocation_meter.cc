#include "gas/core/allocation_meter.h"

#include <atomic>

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include "gas/core/torch.h"

namespace gas {
namespace {

class Reports : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void* /*data*/, int64_t bytes, ReportedTotal /*allocated*/,
                         ReportedTotal /*reserved*/, c10::Device /*device*/) override {
    const int64_t live = live_bytes += bytes;
    int64_t peak = peak_bytes;
    while (live > peak && !peak_bytes.compare_exchange_weak(peak, live)) {
    }
  }
  bool memoryProfilingEnabled() const override { return true; }

  // Workers that take over this thread's state report here too.
  std::atomic<int64_t> live_bytes = 0, peak_bytes = 0;
};

}  // namespace

struct AllocationMeter::Impl {
  std::shared_ptr<Reports> reports = std::make_shared<Reports>();
  c10::DebugInfoGuard guard{c10::DebugInfoKind::PROFILER_STATE, reports};
};

AllocationMeter::AllocationMeter() : impl_(std::make_unique<Impl>()) {}
AllocationMeter::~AllocationMeter() = default;

int64_t AllocationMeter::live_bytes() const { return impl_->reports->live_bytes; }
int64_t AllocationMeter::peak_bytes() const { return impl_->reports->peak_bytes; }

}  // namespace gas
