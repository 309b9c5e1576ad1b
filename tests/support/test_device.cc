#include "support/test_device.h"

#include <cstdlib>

namespace gas::testing {

torch::Device TestDevice() {
  const char* given = std::getenv("GAS_TEST_DEVICE");
  const std::string name = given == nullptr ? "fake" : given;
  if (name == "fake") return FakeDevice();
  UseTf32(false);
  return torch::Device(name);
}

double DeviceTolerance(double fake) { return TestDevice() == FakeDevice() ? fake : 10 * fake; }

void ExpectWaits(const WaitCounter& counter, const HostWaits& expected, const char* where) {
  if (TestDevice() != FakeDevice()) return;
  const HostWaits waits = counter.waits();
  EXPECT_EQ(waits.reads, expected.reads) << where << ": values read";
  EXPECT_EQ(waits.downloads, expected.downloads) << where << ": copies to the CPU";
  EXPECT_EQ(waits.uploads, expected.uploads) << where << ": copies from the CPU";
}

}  // namespace gas::testing
