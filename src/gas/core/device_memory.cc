#include "gas/core/device_memory.h"

#include "gas/core/memory.h"

#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 9)
#define GAS_DEVICES_TELL_MEMORY
#include <c10/core/CachingDeviceAllocator.h>
#endif

namespace gas {

#ifdef GAS_DEVICES_TELL_MEMORY
namespace {

// Bytes that the allocator of a device has given out.
c10::CachingAllocator::Stat Allocated(torch::Device device) {
  const c10::DeviceIndex index = device.has_index() ? device.index() : 0;
  const auto stats = c10::getDeviceAllocator(device.type())->getDeviceStats(index);
  return stats.allocated_bytes[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)];
}

}  // namespace
#endif

double PeakDeviceMebibytes(torch::Device device) {
#ifdef GAS_DEVICES_TELL_MEMORY
  if (!device.is_cpu()) return static_cast<double>(Allocated(device).peak) / (1 << 20);
#endif
  return 0;
}

void ResetPeakDeviceMemory(torch::Device device) {
#ifdef GAS_DEVICES_TELL_MEMORY
  if (device.is_cpu()) return;
  c10::getDeviceAllocator(device.type())->resetPeakStats(device.has_index() ? device.index() : 0);
#endif
}

int64_t AllocatedBytes(torch::Device device) {
#ifdef GAS_DEVICES_TELL_MEMORY
  if (!device.is_cpu()) return Allocated(device).current;
#endif
  return 0;
}

int64_t FreeBytes(torch::Device device) {
  if (device.is_cpu()) return AvailableBytes();
#ifdef GAS_DEVICES_TELL_MEMORY
  const c10::DeviceIndex index = device.has_index() ? device.index() : 0;
  return static_cast<int64_t>(c10::getDeviceAllocator(device.type())->getMemoryInfo(index).first);
#else
  return 0;
#endif
}

}  // namespace gas
