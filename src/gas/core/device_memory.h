// How much memory of a device a program has used.
#ifndef GAS_CORE_DEVICE_MEMORY_H_
#define GAS_CORE_DEVICE_MEMORY_H_

#include "gas/core/torch.h"

namespace gas {

// The most MiB of tensors that were on the device at once since the last reset; 0 for the CPU and for a
// LibTorch before 2.9, which does not tell.
double PeakDeviceMebibytes(torch::Device device);
void ResetPeakDeviceMemory(torch::Device device);

// Bytes of tensors that are on the device now; 0 for the CPU and where nobody tells.
int64_t AllocatedBytes(torch::Device device);

// Bytes of the device that are free, for the CPU those of AvailableBytes; 0 where nobody tells.
int64_t FreeBytes(torch::Device device);

}  // namespace gas

#endif  // GAS_CORE_DEVICE_MEMORY_H_
