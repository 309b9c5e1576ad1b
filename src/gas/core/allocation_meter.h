// How many bytes of tensors are alive, and were at most, of those that were made while it exists.
#ifndef GAS_CORE_ALLOCATION_METER_H_
#define GAS_CORE_ALLOCATION_METER_H_

#include <cstdint>
#include <memory>

namespace gas {

// Counts what this thread allocates and frees, on the CPU and on devices, by LibTorch's own reports. What was
// allocated before and is freed meanwhile counts as negative.
class AllocationMeter {
 public:
  AllocationMeter();
  ~AllocationMeter();
  AllocationMeter(const AllocationMeter&) = delete;
  AllocationMeter& operator=(const AllocationMeter&) = delete;

  int64_t live_bytes() const;
  int64_t peak_bytes() const;  // the most that were alive at once

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gas

#endif  // GAS_CORE_ALLOCATION_METER_H_
