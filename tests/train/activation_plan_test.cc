// What is kept fits; what is measured is what a graph holds.
#include "gas/train/activation_plan.h"

#include "gas/core/allocation_meter.h"
#include "support/expect.h"
#include "support/gmm.h"

namespace gas {
namespace {

constexpr int64_t kGiB = int64_t{1} << 30;

TEST(ActivationPlan, KeepsWhatFitsIntoHalfOfTheFreeMemory) {
  // 8 images of 0.1 GiB an evaluation.
  const auto plan = [](int64_t free) { return PlanActivations(4, 8, kGiB / 10, free); };
  EXPECT_EQ(plan(100 * kGiB).recomputed, 0);
  EXPECT_EQ(plan(5 * kGiB).kept(), 3);
  EXPECT_LE(plan(5 * kGiB).kept_bytes, 5 * kGiB / 2);
  EXPECT_EQ(plan(kGiB).kept(), 0);
  EXPECT_EQ(plan(0).recomputed, 4);
  EXPECT_EQ(
      ActivationText(plan(5 * kGiB)),
      "activations of 3 of 4 evaluations are kept, 2.40 GiB of 5.0 GiB free; the others are computed again");
}

TEST(AllocationMeter, CountsWhatIsAliveOfWhatWasMadeMeanwhile) {
  const AllocationMeter meter;
  Tensor kept = torch::zeros({1024}, torch::kFloat32);
  EXPECT_EQ(meter.live_bytes(), 4096);
  { const Tensor gone = torch::zeros({1 << 20}); }
  EXPECT_EQ(meter.live_bytes(), 4096);
  kept.reset();
  EXPECT_EQ(meter.live_bytes(), 0);
}

// Ten activations of its input's size that a backward pass needs.
class TenSines : public Denoiser {
 public:
  PredictionType prediction_type() const override { return PredictionType::kData; }
  Tensor Predict(const Tensor& x, const NoiseLevel&, const Condition&) const override {
    Tensor y = x;
    for (int i = 0; i < 10; ++i) y = y.sin();
    return y;
  }
};

TEST(ActivationBytes, AreThoseThatTheGraphHolds) {
  Model model;
  model.schedule = VpLinearSchedule();
  model.denoiser = std::make_shared<TenSines>();
  model.conditioner = std::make_shared<ClassConditioner>(0);
  model.shape = {3, 32, 32};
  // Each sine keeps its input; the first one's is the state, which is there anyway. The output is kept too.
  EXPECT_EQ(ActivationBytes(model), 10 * 3 * 32 * 32 * 4);
}

}  // namespace
}  // namespace gas
