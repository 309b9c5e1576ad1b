// Tables that begin at a later node.
#include "gas/solver/late_start.h"

#include "gas/grid/time_grid.h"
#include "gas/solver/registry.h"
#include "gas/solver/sampler.h"
#include "support/expect.h"
#include "support/gmm.h"

namespace gas {
namespace {

using testing::Close;

// The same data prediction wherever it is asked.
class ConstantData : public Denoiser {
 public:
  PredictionType prediction_type() const override { return PredictionType::kData; }
  Tensor Predict(const Tensor& x, const NoiseLevel&, const Condition&) const override {
    return torch::full_like(x, 0.7);
  }
};

Tensor SomeStates() { return torch::tensor({-1.25, 0.5, 2.0}, torch::kFloat64).reshape({3, 1, 1, 1}); }

TEST(LateStart, StrengthIsTheShareOfTheRows) {
  EXPECT_EQ(FirstNodeOf(1, 6), 0);
  EXPECT_EQ(FirstNodeOf(0.5, 6), 3);
  EXPECT_EQ(FirstNodeOf(0.6, 5), 2);
  EXPECT_EQ(FirstNodeOf(1e-9, 6), 5);  // one row at least
  EXPECT_EQ(FirstNodeOf(0.5, 1), 0);
  for (const double strength : {0.0, -0.5, 1.1, std::nan("")}) {
    EXPECT_ERROR(FirstNodeOf(strength, 6), Errc::kBadOption, "must be in (0, 1]");
  }
}

// From any node, any solver is exact where predictions do not change: x = sigma' / sigma x + (...) m.
TEST(LateStart, IsExactForConstantPredictions) {
  const SchedulePtr schedule = VpLinearSchedule();
  for (const char* name : {"ddim", "heun", "dpmpp-2m", "dpmpp-3m", "unipc-3-bh2", "ipndm-3", "deis-3"}) {
    const StepTable table = MakeSolverTable(name, *schedule, "", 7, 1e-3);
    for (int64_t first = 0; first < table.nfe(); ++first) {
      SCOPED_TRACE(std::string(name) + " from node " + std::to_string(first));
      const StepTable late = FromNode(table, first);
      EXPECT_EQ(late.nfe(), table.nfe() - first);
      const double alpha = table.alpha[first].item<double>(), sigma = table.sigma[first].item<double>();
      const double ratio = schedule->Sigma(1e-3) / sigma;
      const Tensor exact = ratio * SomeStates() + (schedule->Alpha(1e-3) - alpha * ratio) * 0.7;
      EXPECT_TRUE(Close(RunTable(late, ConstantData(), SomeStates(), {}), exact, 0, 1e-9));
    }
  }
}

// What rows do not read of before is left as it is.
TEST(LateStart, OneStepMethodsGoOnAsTheyAre) {
  const SchedulePtr schedule = VpLinearSchedule();
  const testing::GaussianDenoiser network(0.3, 0.5);
  const StepTable table = MakeSolverTable("ddim", *schedule, "", 6, 1e-3);
  std::vector<Tensor> states;
  SampleOptions options;
  options.on_state = [&](int64_t, const Tensor& x) { states.push_back(x); };
  const Tensor whole = RunTable(table, network, SomeStates(), {}, options);
  for (int64_t first = 0; first < 6; ++first) {
    EXPECT_TRUE(Close(RunTable(FromNode(table, first), network, states[first], {}), whole, 1e-12, 0));
  }
}

// From a state on the exact path a multistep method that begins again is nearer to its end than DDIM.
TEST(LateStart, LaterRowsKeepTheirOrder) {
  const SchedulePtr schedule = VpLinearSchedule();
  const testing::GaussianDenoiser network(0.3, 0.5);
  const auto error_of = [&](const char* name) {
    const StepTable table = MakeSolverTable(name, *schedule, "logsnr", 40, 1e-3);
    const double from = table.t[20].item<double>();
    const Tensor start = network.Flow(*schedule, SomeStates(), 1, from);
    const Tensor exact = network.Flow(*schedule, SomeStates(), 1, 1e-3);
    return (RunTable(FromNode(table, 20), network, start, {}) - exact).abs().max().item<double>();
  };
  EXPECT_LT(5 * error_of("dpmpp-2m"), error_of("ddim"));
  EXPECT_LT(5 * error_of("unipc-3-bh2"), error_of("ddim"));
}

// Bands have coefficients of their own; the start, which was for noise, is left out.
TEST(LateStart, SpectralTablesHaveTheSameWeightsInEachBand) {
  const SchedulePtr schedule = VpLinearSchedule();
  const StepTable plain = MakeSolverTable("dpmpp-3m", *schedule, "", 5, 1e-3);
  StepTable spectral = plain;
  spectral.a = plain.a.reshape({5, 5, 1, 1}).repeat({1, 1, 2, 3});
  spectral.b = plain.b.reshape({5, 5, 1, 1}).repeat({1, 1, 2, 3});
  const StepTable late = FromNode(plain, 2), banded = FromNode(spectral, 2);
  EXPECT_TRUE(Close(banded.a, late.a.reshape({3, 3, 1, 1}).repeat({1, 1, 2, 3}), 0, 0));
  EXPECT_TRUE(Close(banded.b, late.b.reshape({3, 3, 1, 1}).repeat({1, 1, 2, 3}), 0, 0));
  EXPECT_EQ(late.start, nullptr);
  EXPECT_EQ(late.prior_std, 1);
}

}  // namespace
}  // namespace gas
