// What is kept fits; what is measured is what a graph holds.
#include "gas/memory/training_plan.h"

#include "gas/core/allocation_meter.h"
#include "support/expect.h"
#include "support/gmm.h"

namespace gas {
namespace {

constexpr int64_t kGiB = int64_t{1} << 30;

TEST(TrainingPlan, KeepsWhatFitsIntoHalfOfTheFreeMemory) {
  // 8 images of 0.1 GiB an evaluation.
  const auto plan = [](int64_t free) { return PlanForFreeMemory(4, 8, kGiB / 10, free); };
  EXPECT_EQ(plan(100 * kGiB).recomputed, 0);
  EXPECT_EQ(plan(5 * kGiB).kept(), 3);
  EXPECT_LE(plan(5 * kGiB).kept_bytes, 5 * kGiB / 2);
  EXPECT_EQ(plan(kGiB).kept(), 0);
  EXPECT_EQ(plan(0).recomputed, 4);
  EXPECT_EQ(PlanText(plan(5 * kGiB), 8),
            "activations of 3 of 4 evaluations are kept, 2.40 GiB; the others are computed again");
}

// A program of 1 GiB; activations of 0.1 GiB a sample, and half of that beside them.
TrainingStep Step() {
  return {.model = {.held = kGiB,
                    .network = {.kept = {.per_sample = kGiB / 10}, .backward = {.per_sample = kGiB / 20}}},
          .evaluations = 4,
          .batch = 8};
}

TEST(TrainingPlan, FitsALimitByComputingAgainAndThenInParts) {
  const TrainingStep step = Step();
  const auto plan = [&](double gibibytes) {
    return PlanForLimit(step, Activations::kAuto, static_cast<int64_t>(gibibytes * kGiB));
  };
  EXPECT_EQ(PlanText(plan(4.7), 8), "activations of 4 of 4 evaluations are kept, 3.20 GiB");
  EXPECT_EQ(plan(4.5).kept(), 3);
  EXPECT_EQ(plan(4.5).part, 8);
  // All are computed again one by one before the batch is divided; what is free then keeps some again.
  EXPECT_EQ(plan(2.21).part, 8);
  EXPECT_EQ(plan(2.1).part, 4);
  EXPECT_EQ(plan(2.1).kept(), 2);
  EXPECT_EQ(plan(1.16).part, 1);
  for (const double limit : {4.7, 3.3, 2.21, 2.1, 1.7, 1.16}) {
    EXPECT_LE(step.Bytes(plan(limit)), static_cast<int64_t>(limit * kGiB)) << limit;
  }
  EXPECT_EQ(
      PlanText(plan(1.16), 8),
      "activations of 1 of 4 evaluations are kept, 102 MiB; the others are computed again; 1 of 8 samples "
      "at once");
  EXPECT_ERROR(plan(1.1), Errc::kBadOption,
               "run.memory = 1.10 GiB, must be at least 1.15 GiB, which a batch of 1 takes");
}

TEST(TrainingPlan, LeavesActivationsAsTheyAreAskedFor) {
  const int64_t limit = 2 * kGiB;
  const TrainingPlan keep = PlanForLimit(Step(), Activations::kKeep, limit);
  EXPECT_EQ(keep.kept(), 4);
  EXPECT_EQ(keep.part, 2);
  const TrainingPlan recompute = PlanForLimit(Step(), Activations::kRecompute, 4 * limit);
  EXPECT_EQ(recompute.kept(), 0);
  EXPECT_EQ(recompute.part, 8);
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
