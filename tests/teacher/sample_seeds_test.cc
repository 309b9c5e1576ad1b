// The loop that draws samples.
#include "gas/teacher/sample_seeds.h"

#include "gas/solver/registry.h"
#include "support/expect.h"
#include "support/gmm.h"

namespace gas {
namespace {

using testing::SameBits;

class SampleLoop : public ::testing::Test {
 protected:
  SampleLoop() {
    model_.schedule = VpLinearSchedule();
    model_.denoiser = std::make_shared<testing::GaussianDenoiser>(0.2, 0.5);
    model_.shape = {1, 2, 2};
    model_.classes = 3;
    model_.conditioner = std::make_shared<ClassConditioner>(3);
    table_ = MakeSolverTable("ddim", *model_.schedule, "logsnr", 3, 1e-3);
  }

  Model model_;
  StepTable table_;
};

TEST_F(SampleLoop, HandsOverEachBatchAndSaysHowFarItIs) {
  std::vector<int64_t> begins, sizes, done;
  SampleRequests(model_, table_, RequestsFor(SeedRange(7, 8)),
                 {.batch = 3, .progress = [&](int64_t count) { done.push_back(count); }},
                 [&](const SampleBatch& batch) {
                   begins.push_back(batch.begin);
                   sizes.push_back(batch.samples.images.size(0));
                   EXPECT_FALSE(batch.samples.states.defined());
                   EXPECT_EQ(batch.samples.condition.labels.size(0), batch.samples.images.size(0));
                 });
  EXPECT_EQ(begins, (std::vector<int64_t>{0, 3, 6}));
  EXPECT_EQ(sizes, (std::vector<int64_t>{3, 3, 2}));
  EXPECT_EQ(done, (std::vector<int64_t>{3, 6, 8}));
}

TEST_F(SampleLoop, ASampleDependsOnItsRequestAlone) {
  std::vector<Request> requests = RequestsFor(SeedRange(0, 5));
  requests[2].label = 1;
  const Samples all = CollectSamples(model_, table_, requests, {.batch = 2});
  const Samples one = CollectSamples(model_, table_, std::span(requests).subspan(2, 1), {});
  EXPECT_EQ(one.condition.labels[0].item<int64_t>(), 1);
  EXPECT_TRUE(SameBits(all.images.slice(0, 2, 3), one.images));
  EXPECT_TRUE(SameBits(all.noise.slice(0, 2, 3), one.noise));
  EXPECT_TRUE(SameBits(all.condition.labels.slice(0, 2, 3), one.condition.labels));
}

TEST_F(SampleLoop, StatesOfAnyRankAreKeptWhenAskedFor) {
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{5}, {2, 3, 2, 2}}) {
    model_.shape = shape;
    const Samples samples =
        CollectSamples(model_, table_, RequestsFor(SeedRange(0, 4)), {.batch = 3, .keep_states = true});
    std::vector<int64_t> expected = {4, 3};
    expected.insert(expected.end(), shape.begin(), shape.end());
    EXPECT_EQ(samples.states.sizes(), at::IntArrayRef(expected));
    EXPECT_EQ(samples.data_predictions.sizes(), at::IntArrayRef(expected));
    EXPECT_TRUE(SameBits(samples.states.select(1, 0).contiguous(), samples.noise));
  }
}

TEST_F(SampleLoop, NoiseThatIsThereIsSampledInItsType) {
  const Tensor noise = torch::randn({3, 6}, torch::kFloat64);
  const auto inputs = [&](int64_t begin, int64_t end) {
    return SampleInputs{.noise = noise.slice(0, begin, end), .condition = {}, .seeds = {}};
  };
  SampleInBatches(table_, *model_.denoiser, torch::kCPU, 3, inputs, {}, [&](const SampleBatch& batch) {
    EXPECT_EQ(batch.samples.images.scalar_type(), torch::kFloat64);
  });
}

TEST_F(SampleLoop, NamesTheSampleThatIsNotFinite) {
  const auto inputs = [](int64_t begin, int64_t end) {
    Tensor noise = torch::zeros({end - begin, 2}, torch::kFloat64);
    if (begin == 2) noise[1][0] = INFINITY;
    return SampleInputs{.noise = noise, .condition = {}, .seeds = {}};
  };
  EXPECT_ERROR(SampleInBatches(table_, *model_.denoiser, torch::kCPU, 4, inputs, {.batch = 2},
                               [](const SampleBatch&) {}),
               Errc::kNumeric, "the sample of row 3 has entries that are not finite");
}

// A network that breaks at its third evaluation for states whose first entry is beyond a bound.
class BreaksLate : public Denoiser {
 public:
  BreaksLate(double bound, double breaks_with) : bound_(bound), breaks_with_(breaks_with) {}
  PredictionType prediction_type() const override { return inner_.prediction_type(); }
  Tensor Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const override {
    const Tensor output = inner_.Predict(x, at, condition);
    if (++evaluations_ % 3 != 0) return output;
    const Tensor beyond = x.flatten(1).select(1, 0).gt(bound_).view({-1, 1, 1, 1});
    return torch::where(beyond, torch::full_like(output, breaks_with_), output);
  }

 private:
  testing::GaussianDenoiser inner_{0.2, 0.5};
  double bound_, breaks_with_;
  mutable int64_t evaluations_ = 0;
};

TEST_F(SampleLoop, NamesTheSeedAndTheStepAtWhichTheNetworkBreaks) {
  const std::vector<Request> requests = RequestsFor(SeedRange(3, 4));
  const Samples sound = CollectSamples(model_, table_, requests, {.keep_states = true});
  const Tensor first =
      sound.states.select(1, 2).flatten(1).select(1, 0);  // of the states at the third evaluation
  const double bound = std::get<0>(first.topk(2)).mean().item<double>();  // one of them is beyond it
  const int64_t breaks = 3 + first.argmax().item<int64_t>();
  for (const double with : {std::nan(""), double{INFINITY}}) {
    model_.denoiser = std::make_shared<BreaksLate>(bound, with);
    int64_t used = 0;
    EXPECT_ERROR(SampleRequests(model_, table_, requests, {}, [&](const SampleBatch&) { ++used; }),
                 Errc::kNumeric,
                 "sampling with ddim, nfe = 3: the sample of seed " + std::to_string(breaks) +
                     " has entries that are not finite, first in the prediction of step 2 of 3");
    EXPECT_EQ(used, 0);
  }
}

TEST_F(SampleLoop, NamesTheStepAtWhichCoefficientsOverflow) {
  table_.a = table_.a.clone();
  table_.a[0][0] = table_.a[1][1] = 1e20;  // their product is beyond float32
  EXPECT_ERROR(CollectSamples(model_, table_, RequestsFor(SeedRange(11, 1)), {}), Errc::kNumeric,
               "the sample of seed 11 has entries that are not finite, first in the state of step 2 of 3");
}

}  // namespace
}  // namespace gas
