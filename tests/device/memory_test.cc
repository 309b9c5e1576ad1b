// Predictions of memory against the peak of the tensors on the device. Needs a device that tells what it has
// given out: the fake one does not.
#include "gas/core/device_memory.h"
#include "gas/memory/run_memory.h"
#include "gas/models/network_input.h"
#include "gas/solver/registry.h"
#include "gas/solver/sampler.h"
#include "support/test_device.h"

namespace gas {
namespace {

using testing::TestDevice;

// What a prediction promises (docs/memory.md).
constexpr double kPromisedShare = 0.2;
constexpr int64_t kImages = 64;

class DeviceMemory : public ::testing::Test {
 protected:
  void SetUp() override {
    if (AllocatedBytes(TestDevice()) == 0) GTEST_SKIP() << "the device does not tell what it has given out";
  }

  // The most bytes on the device while two evaluations of the model are made.
  int64_t PeakOf(const std::function<void(const NetworkInput&, const StepTable&)>& work) const {
    const NetworkInput input = InputFor(model_, kImages);
    const StepTable table = MakeSolverTable("ddim", *model_.schedule, "edm", 2, model_.t_eps);
    ResetPeakDeviceMemory(TestDevice());
    work(input, table);
    return static_cast<int64_t>(PeakDeviceMebibytes(TestDevice()) * (1 << 20));
  }

  void ExpectTrainingPredicted(int64_t recomputed) const {
    const int64_t predicted =
        TrainingBytes(MeasureModel(model_, Passes::kBackward, kImages), {}, kImages, 2 - recomputed);
    const int64_t peak = PeakOf([&](const NetworkInput& input, const StepTable& table) {
      const Tensor noise = input.state.detach().requires_grad_();
      RunTable(table, *model_.denoiser, noise, input.condition, {.recomputed = recomputed}).sum().backward();
    });
    ExpectNear(predicted, peak);
  }

  static void ExpectNear(int64_t predicted, int64_t peak) {
    std::cout << MemoryText(predicted) << " predicted, " << MemoryText(peak) << " at most\n";
    EXPECT_NEAR(static_cast<double>(predicted) / static_cast<double>(peak), 1, kPromisedShare);
  }

  const Model model_ = OpenModel("emoji", {.device = TestDevice()});
};

TEST_F(DeviceMemory, OfSamplingIsWithinAFifthOfThePeak) {
  const int64_t predicted =
      SamplingBytes(MeasureModel(model_, Passes::kForward, kImages), {.batch = kImages});
  ExpectNear(predicted, PeakOf([&](const NetworkInput& input, const StepTable& table) {
               const torch::NoGradGuard no_grad;
               RunTable(table, *model_.denoiser, input.state, input.condition);
             }));
}

TEST_F(DeviceMemory, OfTrainingThatKeepsActivationsIsWithinAFifth) { ExpectTrainingPredicted(0); }
TEST_F(DeviceMemory, OfTrainingThatRecomputesThemIsWithinAFifth) { ExpectTrainingPredicted(2); }

}  // namespace
}  // namespace gas
