// The deterministic samplers of EDM against the reference implementation.
#include "gas/solver/edm_samplers.h"

#include <iostream>

#include "gas/grid/time_grid.h"
#include "gas/solver/heun.h"
#include "gas/solver/sampler.h"
#include "support/expect.h"
#include "support/fixtures.h"
#include "support/gmm.h"

namespace gas {
namespace {

using nlohmann::json;
using testing::Fixture;
using testing::Number;

NetworkRange RangeOf(const json& c) {
  NetworkRange range;
  if (c.contains("net_sigma_min")) range.sigma_min = Number(c.at("net_sigma_min"));
  if (c.contains("net_sigma_max")) range.sigma_max = Number(c.at("net_sigma_max"));
  return range;
}

EdmSampler HeunOf(const json& c) {
  EdmHeunOptions options;
  const json& args = c.at("args");
  options.steps = args.value("num_steps", options.steps);
  options.sigma_min = args.value("sigma_min", options.sigma_min);
  options.sigma_max = args.value("sigma_max", options.sigma_max);
  options.rho = args.value("rho", options.rho);
  options.network = RangeOf(c);
  return EdmHeunSampler(options);
}

EdmSampler AblationOf(const json& c) {
  EdmAblationOptions options;
  const json& args = c.at("args");
  options.steps = args.value("num_steps", options.steps);
  options.heun = args.value("solver", "heun") == "heun";
  options.discretization = kEdmDiscretizationNames.FromName(args.value("discretization", "edm"));
  options.schedule = kSigmaCurveNames.FromName(args.value("schedule", "linear"));
  options.vp_scaling = args.value("scaling", "none") == "vp";
  options.alpha = args.value("alpha", options.alpha);
  options.epsilon_s = args.value("epsilon_s", options.epsilon_s);
  options.rho = args.value("rho", options.rho);
  if (args.contains("sigma_min")) options.sigma_min = Number(args.at("sigma_min"));
  if (args.contains("sigma_max")) options.sigma_max = Number(args.at("sigma_max"));
  options.network = RangeOf(c);
  return EdmAblationSampler(options);
}

// The reference turns each time into a noise level and back, and adds noise of variance sigma(back)^2 -
// sigma(time)^2, even without churn. On its curved schedules that variance is not 0 but a rounding error,
// whose square root is up to 1e-7 of the state, where it happens to be positive.
double Tolerance(const json& c) {
  const bool curved =
      c.at("function") == "ablation_sampler" && c.at("args").value("schedule", "linear") != "linear";
  return curved ? 1e-6 : 1e-9;
}

TEST(EdmSamplersReference, EveryCase) {
  const Fixture fixture("solvers/edm_samplers");
  const testing::MixtureDenoiser network(GaussianMixture(fixture.json().at("gmm")), PredictionType::kData);
  testing::WorstError worst("edm_samplers, x_final"), worst_state("edm_samplers, network inputs"),
      worst_sigma("edm_samplers, noise levels");
  int64_t strict = 0;
  for (const json& c : fixture.cases()) {
    const std::string prefix = c.at("prefix");
    SCOPED_TRACE(prefix);
    const EdmSampler sampler = c.at("function") == "edm_sampler" ? HeunOf(c) : AblationOf(c);
    const StepTable& table = sampler.table;
    ASSERT_EQ(table.nfe(), c.at("nfe").get<int64_t>());

    std::vector<Tensor> states;
    SampleOptions options;
    options.on_state = [&](int64_t, const Tensor& x) { states.push_back(x); };
    const Tensor sample = RunTable(table, network, fixture.at("latents"), {}, options);
    EXPECT_TRUE(testing::Close(sample, fixture.at(prefix + "/x_final"), Tolerance(c), 0));
    if (testing::Close(sample, fixture.at(prefix + "/x_final"), 1e-9, 0)) ++strict;
    worst.Add(sample, fixture.at(prefix + "/x_final"), prefix);
    const Tensor sigma = table.sigma_eval / table.alpha_eval;
    EXPECT_TRUE(testing::Close(sigma, fixture.at(prefix + "/net_sigma"), 1e-11, 0));
    worst_sigma.Add(sigma, fixture.at(prefix + "/net_sigma"), prefix);
    if (!fixture.Has(prefix + "/net_x")) continue;
    const Tensor expected = fixture.at(prefix + "/net_x");
    ASSERT_EQ(expected.size(0), table.nfe());
    for (int64_t n = 0; n < table.nfe(); ++n) {
      const Tensor input = states[n] / table.alpha[n];
      EXPECT_TRUE(testing::Close(input, expected[n], Tolerance(c), 0)) << "evaluation " << n;
      worst_state.Add(input, expected[n], prefix);
    }
  }
  std::cout << strict << " of " << fixture.cases().size() << " cases agree to 1e-9\n";
  EXPECT_GT(2 * strict, static_cast<int64_t>(fixture.cases().size()));
}

// Where time is sigma, Heun in sigma / alpha is EDM's, except that it ends at sigma_min instead of 0.
TEST(Heun, IsEdmsOnItsOwnSchedule) {
  const EdmSampler edm = EdmHeunSampler({.steps = 6});
  const SchedulePtr schedule = VeSchedule();
  const StepTable heun = HeunTable(*schedule, MakeGrid("edm", *schedule, 5, 0.002));
  ASSERT_EQ(heun.nfe(), 9);
  ASSERT_EQ(edm.table.nfe(), 11);
  for (int64_t n = 0; n < 8; ++n) {  // all but the last step, where each takes an Euler step
    EXPECT_TRUE(testing::Close(edm.table.a[n].slice(0, 0, 9), heun.a[n], 1e-10, 0)) << "row " << n;
    EXPECT_TRUE(testing::Close(edm.table.b[n].slice(0, 0, 9), heun.b[n], 1e-10, 0)) << "row " << n;
  }
}

TEST(EdmSamplers, BadRequestsAreRefused) {
  EXPECT_ERROR(EdmHeunSampler({.steps = 1}), Errc::kBadOption, "1 steps, must be in [2, 10000]");
  EXPECT_ERROR(EdmHeunSampler({.steps = 4, .rho = 0}), Errc::kBadOption, "rho = 0");
  EXPECT_ERROR(EdmHeunSampler({.steps = 4, .network = {.sigma_min = 90}}), Errc::kBadOption, "[90, 80]");
  EXPECT_ERROR(EdmAblationSampler({.alpha = 2}), Errc::kBadOption, "alpha = 2");
  EXPECT_ERROR(EdmAblationSampler({.steps = 2000, .discretization = EdmDiscretization::kIddpm}),
               Errc::kBadOption, "must be at most");
  EXPECT_ERROR(kEdmDiscretizationNames.FromName("idpm"), Errc::kBadOption, "did you mean iddpm?");
  EXPECT_ERROR(kSigmaCurveNames.FromName("liner"), Errc::kBadOption, "did you mean linear?");
}

}  // namespace
}  // namespace gas
