// A device that is not the CPU, on a machine without one: its tensors live in the CPU's memory, its kernels
// are the CPU's, and every rule of a GPU holds.
//
//   - A kernel takes tensors of this device alone. A scalar tensor [] on the CPU is taken where CUDA takes it
//   as a number, in
//     arithmetic and comparisons of elements.
//   - Memory cannot be read through data_ptr(): addresses are made invalid, so that a loop over them crashes,
//   as it would.
//   - What makes the host wait is counted: values that are asked for, and copies in both directions.
//
// It borrows a device type that LibTorch names and has no kernels of. (PrivateUse1 is meant for this, but
// LibTorch 1.13 cannot move modules there.)
#ifndef GAS_TESTS_SUPPORT_FAKE_DEVICE_H_
#define GAS_TESTS_SUPPORT_FAKE_DEVICE_H_

#include <cstdint>
#include <string>

#include "gas/core/torch.h"

namespace gas::testing {

// The device, which exists in programs that call this.
torch::Device FakeDevice();

// How often the host waited for the device.
struct HostWaits {
  int64_t reads = 0;      // values asked for: item(), equal(), shapes that depend on values
  int64_t downloads = 0;  // copies to the CPU
  int64_t uploads = 0;    // copies from it, unless they are asked for with non_blocking
  int64_t total() const { return reads + downloads + uploads; }
};

// Counts from its construction on, on all threads.
class WaitCounter {
 public:
  WaitCounter();
  HostWaits waits() const;

 private:
  HostWaits before_;
};

// With GAS_FAKE_DEVICE_TRACE set, each wait prints what was called from where.

}  // namespace gas::testing

#endif  // GAS_TESTS_SUPPORT_FAKE_DEVICE_H_
