// How the estimates of runs are put together.
#include "gas/memory/run_memory.h"

#include "gas/memory/working_peak.h"
#include "support/expect.h"

namespace gas {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;

TEST(RunMemory, ABatchIsHalvedUntilItFits) {
  const auto bytes_of = [](int64_t batch) { return 100 * kMiB + 10 * kMiB * batch; };
  EXPECT_EQ(LargestBatch(24, 1, 1000 * kMiB, bytes_of), 24);
  EXPECT_EQ(LargestBatch(24, 1, 339 * kMiB, bytes_of), 12);
  EXPECT_EQ(LargestBatch(24, 1, 135 * kMiB, bytes_of), 3);
  EXPECT_EQ(LargestBatch(24, 1, 110 * kMiB, bytes_of), 1);
  EXPECT_ERROR(LargestBatch(24, 1, 109 * kMiB, bytes_of), Errc::kBadOption,
               "run.memory = 109 MiB, must be at least 110 MiB, which a batch of 1 takes");
  EXPECT_ERROR(LargestBatch(24, 4, 139 * kMiB, bytes_of), Errc::kBadOption, "must be at least 140 MiB");
}

// The encoder's memory is given back before the first evaluation.
TEST(RunMemory, AnImageIsEncodedBeforeAllElse) {
  ModelMemory model{.held = 1000, .state = 0};
  model.network.forward = {.per_sample = 10};
  EXPECT_EQ(SamplingBytes(model, {.batch = 4, .kept_bytes = 5, .encoding = 30}), 1045);
  EXPECT_EQ(SamplingBytes(model, {.batch = 4, .kept_bytes = 5, .encoding = 50}), 1050);
}

TEST(RunMemory, WorkIsMeasuredByItsPeak) {
  const int64_t bytes = WorkingBytes(torch::kCPU, [] {
    { const Tensor large = torch::ones({int64_t{4} << 20}); }
    torch::ones({1 << 20});
  });
  EXPECT_GE(bytes, int64_t{16} << 20);
  EXPECT_LT(bytes, int64_t{40} << 20);
}

TEST(RunMemory, BatchesGrowAlongALine) {
  const BatchBytes line = LineThrough(30, 4, 90);
  EXPECT_EQ(line.once, 10);
  EXPECT_EQ(line.per_sample, 20);
  torch::set_num_threads(1);
  EXPECT_EQ(line.Of(8, torch::kCPU), 170);
  torch::set_num_threads(2);  // two parts at the same time
  EXPECT_EQ(line.Of(8, torch::kCPU), 180);
  EXPECT_EQ(line.Of(1, torch::kCPU), 30);
  torch::set_num_threads(1);
}

TEST(RunMemory, AFitHoldsTrajectoriesOutputsAndABatch) {
  const ModelMemory model{.held = 1000, .network = {.forward = {.per_sample = 7}}, .state = 2};
  const FitNeeds needs{.batch = 10, .states_of_each = 5, .kept = 100, .evaluations = 3, .fitted = 40};
  // 100 trajectories of 5 states, no outputs, and of a batch of 10 the network's 7 and 8 states each.
  EXPECT_EQ(FitBytes(model, needs), 1000 + 100 * 5 * 2 + 10 * 7 + 10 * 8 * 2);
  FitNeeds cached = needs;
  cached.cache_bytes = 200;  // of 40 * 3 states
  EXPECT_EQ(FitBytes(model, cached) - FitBytes(model, needs), 200);
  FitNeeds made = needs;
  made.made_now = true;
  EXPECT_EQ(FitBytes(model, made), 1000 + 2 * 100 * 5 * 2);
}

}  // namespace
}  // namespace gas
