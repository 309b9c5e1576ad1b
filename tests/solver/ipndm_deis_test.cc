// iPNDM against the reference implementation; DEIS against its definition.
#include "gas/grid/time_grid.h"
#include "gas/solver/deis.h"
#include "gas/solver/dpm_multistep.h"
#include "gas/solver/ipndm.h"
#include "gas/solver/pndm.h"
#include "gas/solver/registry.h"
#include "gas/solver/sampler.h"
#include "support/expect.h"
#include "support/fixtures.h"
#include "support/reference.h"

namespace gas {
namespace {

using nlohmann::json;
using testing::Fixture;

TEST(IpndmReference, EveryCase) {
  const Fixture fixture("solvers/ipndm");
  testing::WorstError worst("ipndm, x_final"), worst_state("ipndm, states");
  for (const json& c : fixture.cases()) {
    const testing::SolverCase on = testing::SolverCaseOf(fixture, c);
    const std::string& prefix = on.prefix;
    SCOPED_TRACE(prefix);
    const int64_t steps = c.at("N");
    const Tensor seen = c.at("decoupled") ? fixture.at(prefix + "/timesteps2").slice(0, 0, steps) : Tensor();
    const StepTable table = IpndmTable(c.at("order"), *on.schedule, fixture.at(prefix + "/timesteps"), seen);
    const testing::SolverRun run = testing::RunCase(table, on);
    EXPECT_TRUE(testing::Close(run.sample, fixture.at(prefix + "/x_final"), on.tolerance, 0));
    worst.Add(run.sample, fixture.at(prefix + "/x_final"), prefix);
    if (!fixture.Has(prefix + "/states")) continue;
    const Tensor expected = fixture.at(prefix + "/states");
    for (int64_t n = 0; n < expected.size(0); ++n) {
      EXPECT_TRUE(testing::Close(run.states[n], expected[n], on.tolerance, 0)) << "state " << n;
      worst_state.Add(run.states[n], expected[n], prefix);
    }
  }
}

TEST(Ipndm, FirstOrderIsDdim) {
  const SchedulePtr schedule = VpLinearSchedule();
  const Tensor grid = MakeGrid("quadratic", *schedule, 6, 1e-3);
  const StepTable ipndm = IpndmTable(1, *schedule, grid), ddim = DdimTable(*schedule, grid);
  EXPECT_TRUE(testing::Close(ipndm.a, ddim.a, 1e-13, 0));
  EXPECT_TRUE(testing::Close(ipndm.b, ddim.b, 1e-13, 0));
}

TEST(Deis, DegreeZeroIsDdim) {
  const SchedulePtr schedule = VpLinearSchedule();
  const Tensor grid = MakeGrid("edm", *schedule, 6, 1e-3);
  const StepTable deis = DeisTable(0, *schedule, grid), ddim = DdimTable(*schedule, grid);
  EXPECT_TRUE(testing::Close(deis.a, ddim.a, 1e-13, 0));
  EXPECT_TRUE(testing::Close(deis.b, ddim.b, 1e-13, 0));
}

// A network whose noise prediction is a polynomial of the degree of the method in its variable, at every
// state.
class PolynomialNoise : public Denoiser {
 public:
  PolynomialNoise(int64_t degree, DeisVariable variable) : degree_(degree), variable_(variable) {}
  PredictionType prediction_type() const override { return PredictionType::kNoise; }
  Tensor Predict(const Tensor& x, const NoiseLevel& at, const Condition&) const override {
    return torch::pow(Variable(at) + 0.5, degree_).expand_as(x) * 1.0;
  }

 private:
  Tensor Variable(const NoiseLevel& at) const {
    switch (variable_) {
      case DeisVariable::kTime: return at.t;
      case DeisVariable::kRho: return at.sigma / at.alpha;
      case DeisVariable::kLogRho: return torch::log(at.sigma / at.alpha);
    }
    return {};
  }

  int64_t degree_;
  DeisVariable variable_;
};

// Once its history is full, DEIS is exact for such a network: compare with many DDIM steps, whose error is
// known to fall with their number, extrapolated twice.
void ExpectExact(DeisVariable variable) {
  const SchedulePtr schedule = VpLinearSchedule();
  for (int64_t degree = 1; degree <= 3; ++degree) {
    const PolynomialNoise network(degree, variable);
    const Tensor grid = MakeGrid("quadratic", *schedule, degree + 3, 1e-2);
    std::vector<Tensor> states;
    SampleOptions options;
    options.on_state = [&](int64_t, const Tensor& x) { states.push_back(x); };
    RunTable(DeisTable(degree, *schedule, grid, variable), network,
             torch::ones({1, 1, 1, 1}, torch::kFloat64), {}, options);
    const double t_from = grid[degree + 1].item<double>(), t_to = grid[degree + 2].item<double>();
    const auto fine = [&](int64_t steps) {
      const Tensor inner = MakeGridBetween("logsnr", *schedule, steps, t_from, t_to);
      return RunTable(DdimTable(*schedule, inner), network, states[degree + 1], {});
    };
    const Tensor first = fine(200), second = fine(400), third = fine(800);
    const Tensor exact = (4 * (2 * third - second) - (2 * second - first)) / 3;
    EXPECT_TRUE(testing::Close(states[degree + 2], exact, 1e-8, 0)) << "degree " << degree;
  }
}

TEST(Deis, IsExactForPolynomialNoise) { ExpectExact(DeisVariable::kTime); }
TEST(Deis, InRhoIsExactForPolynomialNoise) { ExpectExact(DeisVariable::kRho); }
TEST(Deis, InLogRhoIsExactForPolynomialNoise) { ExpectExact(DeisVariable::kLogRho); }

TEST(Pndm, BeginsWithAnAveragedStepAndGoesOnAsIpndm) {
  const SchedulePtr schedule = VpLinearSchedule();
  const Tensor grid = MakeGrid("uniform", *schedule, 5, 1e-3);
  const StepTable pndm = PndmTable(*schedule, grid), ipndm = IpndmTable(4, *schedule, grid);
  ASSERT_EQ(pndm.nfe(), 6);
  EXPECT_EQ(pndm.t_eval[1].item<double>(), pndm.t_eval[2].item<double>());
  // The state after the averaged step is the mean of the states that either noise leads to.
  const auto run = [&](const StepTable& table, const Tensor& x) {
    std::vector<Tensor> states;
    SampleOptions options;
    options.on_state = [&](int64_t, const Tensor& state) { states.push_back(state); };
    RunTable(table, PolynomialNoise(1, DeisVariable::kTime), x, {}, options);
    return states;
  };
  const Tensor x = torch::ones({1, 1, 1, 1}, torch::kFloat64);
  const std::vector<Tensor> theirs = run(pndm, x), ours = run(ipndm, x);
  EXPECT_TRUE(testing::Close(theirs[1], ours[1], 1e-13, 0));
  // There the noise does not depend on the state, so that the mean over the first step is that of its ends.
  const Tensor at_start = grid[0] + 0.5, at_end = grid[1] + 0.5;
  const Tensor difference = (at_end - at_start) / 2;
  const SchedulePoint from = PointAt(*schedule, grid[0].item<double>()),
                      to = PointAt(*schedule, grid[1].item<double>());
  const double factor = to.sigma - to.alpha * from.sigma / from.alpha;
  EXPECT_TRUE(testing::Close(theirs[2], ours[1] + factor * difference, 1e-12, 0));
}

TEST(IpndmDeis, BadRequestsAreRefused) {
  const SchedulePtr schedule = VpLinearSchedule();
  const Tensor grid = MakeGrid("uniform", *schedule, 4, 1e-3);
  EXPECT_ERROR(IpndmTable(5, *schedule, grid), Errc::kBadOption, "order = 5, must be in [1, 4]");
  EXPECT_ERROR(IpndmTable(2, *schedule, grid, grid), Errc::kBadOption, "must be 4 float64 numbers");
  EXPECT_ERROR(MakeSolverTable("pndm", *schedule, "", 1, 1e-3), Errc::kBadOption, "must be at least 2");
  EXPECT_ERROR(DeisTable(4, *schedule, grid), Errc::kBadOption, "degree = 4, must be in [0, 3]");
}

}  // namespace
}  // namespace gas
