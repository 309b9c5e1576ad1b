// The device of the tests in tests/device.
#ifndef GAS_TESTS_SUPPORT_TEST_DEVICE_H_
#define GAS_TESTS_SUPPORT_TEST_DEVICE_H_

#include "support/expect.h"
#include "support/fake_device.h"

namespace gas::testing {

// $GAS_TEST_DEVICE: "fake" (support/fake_device.h, the default), "cpu", "cuda" or "cuda:N". Products on it
// are float32 to the last digit, not TF32.
torch::Device TestDevice();

// How far a result of the device may be from the CPU's, relative to the largest entry: kernels sum in another
// order. `fake` on the fake device, whose kernels are mostly the CPU's; ten times as much elsewhere.
double DeviceTolerance(double fake = 1e-5);

// The host has waited for the test's device as often as this since `counter` was made; only the fake device
// counts.
void ExpectWaits(const WaitCounter& counter, const HostWaits& expected, const char* where);

}  // namespace gas::testing

#endif  // GAS_TESTS_SUPPORT_TEST_DEVICE_H_
