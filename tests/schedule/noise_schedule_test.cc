#include "gas/schedule/noise_schedule.h"

#include <numbers>

#include "gas/schedule/scaled_sigma.h"
#include "support/expect.h"
#include "support/fixtures.h"

namespace gas {
namespace {

using nlohmann::json;
using testing::Fixture;
using testing::Number;

// Every schedule that there is, by name; new ones join here and are checked by all tests below.
std::map<std::string, SchedulePtr> AllSchedules() {
  std::map<std::string, SchedulePtr> all = {
      {"vp-linear", VpLinearSchedule()},
      {"vp-constant-beta", VpLinearSchedule(3, 3)},
      {"edm-as-vp", EdmAsVpSchedule(1e-3, 0.002, 80)},
      {"discrete", DiscreteSchedule(ScaledLinearAlphasCumprod(0.00085, 0.012))},
      {"discrete-two", DiscreteSchedule(torch::tensor({0.9, 0.1}, torch::kFloat64), 0.6)},
      {"ve", VeSchedule()},
      {"cosine", CosineSchedule()},
      {"flow", FlowSchedule()},
  };
  for (const SigmaCurve curve : {SigmaCurve::kVp, SigmaCurve::kVe, SigmaCurve::kLinear}) {
    for (const bool scaling : {false, true}) {
      all["scaled-sigma-" + std::to_string(static_cast<int>(curve)) + (scaling ? "-vp" : "")] =
          ScaledSigmaSchedule({.curve = curve, .vp_scaling = scaling});
    }
  }
  return all;
}

Tensor DerivativeOf(const std::function<Tensor(const Tensor&)>& function, const Tensor& at) {
  const Tensor x = at.detach().clone().requires_grad_();
  const Tensor y = function(x).sum();
  return y.requires_grad() ? torch::autograd::grad({y}, {x})[0] : torch::zeros_like(x);
}

// lambda = log(alpha / sigma) falls with t, the inverse inverts it, and autograd agrees with central
// differences.
MATCHER_P(IsConsistentAt, t, "") {
  const NoiseSchedule& s = *arg;
  const double lambda = s.HalfLogSnr(t), step = 1e-6 * t;
  const double back = s.TimeOfHalfLogSnr(lambda);
  const double ratio = std::log(s.Alpha(t) / s.Sigma(t));
  const auto central = [&](auto&& f) { return (f(t + step) - f(t - step)) / (2 * step); };
  const auto autograd = [&](auto&& f) { return DerivativeOf(f, Scalar(t)).template item<double>(); };
  const double slope = autograd([&](const Tensor& x) { return s.HalfLogSnr(x); });
  const double inverse_slope =
      DerivativeOf([&](const Tensor& x) { return s.TimeOfHalfLogSnr(x); }, Scalar(lambda))
          .template item<double>();
  const double sigma_slope = autograd([&](const Tensor& x) { return s.Sigma(x); });
  const double alpha_slope = autograd([&](const Tensor& x) { return s.Alpha(x); });
  *result_listener << "lambda " << lambda << ", log ratio " << ratio << ", back " << back << ", slope "
                   << slope << ", inverse slope " << inverse_slope << ", sigma slope " << sigma_slope;
  const auto close = [](double a, double b, double tolerance) {
    return std::abs(a - b) <= tolerance * (1 + std::abs(b));
  };
  return close(lambda, ratio, 1e-9) && std::abs(back - t) < 1e-9 * t && slope < 0 &&
         close(slope, central([&](double x) { return s.HalfLogSnr(x); }), 1e-6) &&
         close(slope * inverse_slope, 1, 1e-9) &&
         close(sigma_slope, central([&](double x) { return s.Sigma(x); }), 1e-6) &&
         close(alpha_slope, central([&](double x) { return s.Alpha(x); }), 1e-6);
}

TEST(NoiseSchedule, EveryScheduleIsConsistentBetweenItsEnds) {
  for (const auto& [name, schedule] : AllSchedules()) {
    SCOPED_TRACE(name);
    const double from = schedule->t_start(), to = schedule->t_end();
    ASSERT_GT(from, to);
    for (int i = 0; i <= 20; ++i) {
      // Away from knots by an irrational step.
      const double t = to + (from - to) * std::pow((i + 0.0217) / 20.1, 2);
      EXPECT_THAT(schedule, IsConsistentAt(t)) << "t = " << t;
    }
  }
}

TEST(NoiseSchedule, VariancePreservingOnesPreserveVariance) {
  for (const char* name :
       {"vp-linear", "edm-as-vp", "discrete", "cosine", "scaled-sigma-0-vp", "scaled-sigma-2-vp"}) {
    const SchedulePtr schedule = AllSchedules().at(name);
    const Tensor t = torch::linspace(schedule->t_end(), schedule->t_start(), 33, torch::kFloat64);
    const Tensor power = schedule->Alpha(t).square() + schedule->Sigma(t).square();
    EXPECT_TRUE(testing::Close(power, torch::ones_like(t), 0, 1e-14)) << name;
  }
}

// The noise that sampling begins with: as wide as the state is at that time, where the data hardly count.
TEST(NoiseSchedule, TheFirstStateIsAsWideAsTheNoiseThere) {
  for (const auto& [name, schedule] : AllSchedules()) {
    const bool wide = name == "ve" || name.starts_with("scaled-sigma");
    for (const double t : {schedule->t_start(), schedule->t_start() / 2}) {
      EXPECT_EQ(schedule->PriorStd(t), wide ? schedule->Sigma(t) : 1) << name << " at " << t;
    }
  }
}

// sigma^2 = 1 - alpha^2 loses all digits of a small sigma unless written with expm1.
TEST(NoiseSchedule, SmallSigmasKeepTheirDigits) {
  const double t = 1e-12;
  EXPECT_NEAR(VpLinearSchedule(0.1, 20)->Sigma(t) / std::sqrt(0.1 * t), 1, 1e-10);
  const double u = std::numbers::pi / 2 / 1.008, slope = 2 * u * std::tan(u * 0.008);
  EXPECT_NEAR(CosineSchedule()->Sigma(t) / std::sqrt(slope * t), 1, 1e-9);
}

// A network of 291 timesteps, from lambda 4.4 down.
Tensor ShortSchedule() { return ScaledLinearAlphasCumprod(0.00015, 0.04, 291); }

TEST(NoiseSchedule, SamplingEndsWhereTheScheduleDoes) {
  const SchedulePtr schedule = DiscreteSchedule(ShortSchedule());
  EXPECT_EQ(EndOfSampling(*schedule, {}), 1.0 / 291);
  EXPECT_EQ(EndOfSampling(*schedule, 0.01), 0.01);
  EXPECT_EQ(EndOfSampling(*schedule, 0.003436426), 0.003436426);  // 1/291 in fewer digits
  EXPECT_ERROR(EndOfSampling(*schedule, 1e-3), Errc::kBadOption,
               "t_eps = 0.001, must be at least 0.003436426117 and below 1");
  EXPECT_ERROR(EndOfSampling(*schedule, 1.0), Errc::kBadOption, "t_eps = 1, must be at least");
  EXPECT_ERROR(EndOfSampling(*VeSchedule(0.01, 50), 0.001), Errc::kBadOption,
               "t_eps = 0.001, must be at least 0.01 and below 50");
  EXPECT_ERROR(EndOfSampling(*VpLinearSchedule(), 0.0), Errc::kBadOption, "t_eps = 0, must be above 0");
  EXPECT_EQ(EndOfSampling(*VpLinearSchedule(), 1e-5), 1e-5);
  EXPECT_ERROR(EdmAsVpSchedule(1e-8, 0.002, 80), Errc::kBadOption, "t_eps = 1e-08, must be at least 4.56");
  // A schedule that says itself that it ends below its first knot is taken at its word.
  EXPECT_EQ(EndOfSampling(*DiscreteSchedule(ShortSchedule(), 2e-3), {}), 2e-3);
  for (const auto& [name, any] : AllSchedules()) EXPECT_EQ(EndOfSampling(*any, {}), any->t_end()) << name;
}

TEST(NoiseSchedule, DiscreteOnesKnowTheirTimesteps) {
  EXPECT_EQ(DiscreteSchedule(ShortSchedule())->timesteps(), 291);
  EXPECT_EQ(VpLinearSchedule()->timesteps(), std::nullopt);
  const std::vector<double> alphas = {0.9, 0.5};
  EXPECT_EQ(ScheduleFromJson({{"kind", "discrete"}, {"alphas_cumprod", alphas}})->t_end(), 0.5);
}

TEST(NoiseSchedule, JsonRoundTripIsExact) {
  for (const auto& [name, schedule] : AllSchedules()) {
    SCOPED_TRACE(name);
    const SchedulePtr back = ScheduleFromJson(json::parse(schedule->ToJson().dump()));
    EXPECT_EQ(back->ToJson(), schedule->ToJson());
    EXPECT_EQ(back->t_start(), schedule->t_start());
    EXPECT_EQ(back->t_end(), schedule->t_end());
    const Tensor t = torch::linspace(schedule->t_end(), schedule->t_start(), 7, torch::kFloat64);
    EXPECT_TRUE(testing::SameBits(back->HalfLogSnr(t), schedule->HalfLogSnr(t)));
  }
}

TEST(NoiseSchedule, BadJsonNamesTheField) {
  EXPECT_ERROR(ScheduleFromJson(json::array()), Errc::kBadFile, "\"kind\"");
  EXPECT_ERROR(ScheduleFromJson({{"kind", 3}}), Errc::kBadFile, "\"kind\"");
  EXPECT_ERROR(ScheduleFromJson({{"kind", "vp-liner"}}), Errc::kBadFile, "did you mean vp-linear?");
  EXPECT_ERROR(ScheduleFromJson({{"kind", "flow"}}), Errc::kBadFile, "\"t_eps\" is missing");
  EXPECT_ERROR(ScheduleFromJson({{"kind", "flow"}, {"t_eps", "x"}}), Errc::kBadFile,
               "\"t_eps\" is not a number");
  EXPECT_ERROR(ScheduleFromJson({{"kind", "flow"}, {"t_eps", 2}}), Errc::kBadFile, "t_eps = 2");
  EXPECT_ERROR(ScheduleFromJson({{"kind", "ve"}, {"sigma_min", 1}, {"sigma_max", 1}}), Errc::kBadFile,
               "[1, 1]");
  EXPECT_ERROR(ScheduleFromJson({{"kind", "discrete"}, {"alphas_cumprod", {0.5, 0.7}}, {"t_eps", 1e-3}}),
               Errc::kBadFile, "alphas_cumprod[1] = 0.7");
  EXPECT_ERROR(ScheduleFromJson({{"kind", "discrete"}, {"alphas_cumprod", {0.5, "a"}}, {"t_eps", 1e-3}}),
               Errc::kBadFile, "alphas_cumprod[1]");
  EXPECT_ERROR(ScheduleFromJson({{"kind", "discrete"}, {"alphas_cumprod", json::array()}, {"t_eps", 1e-3}}),
               Errc::kBadFile, "at least 2");
  EXPECT_ERROR(
      ScheduleFromJson({{"kind", "discrete"}, {"alphas_cumprod", json(1'000'001, 0.5)}, {"t_eps", 1e-3}}),
      Errc::kBadFile, "is not a list of at most 1000000 numbers");
  EXPECT_ERROR(ScheduleFromJson({{"kind", "vp-linear"}, {"beta_0", -1}, {"beta_1", 2}, {"t_eps", 1e-3}}),
               Errc::kBadFile, "beta_0 = -1");
  EXPECT_ERROR(ScheduleFromJson({{"kind", "scaled-sigma"}, {"curve", "x"}}), Errc::kBadFile, "curve");
}

TEST(NoiseSchedule, BadParametersAreRefused) {
  const double nan = std::nan("");
  EXPECT_ERROR(VpLinearSchedule(nan, 20), Errc::kBadOption, "beta_0");
  EXPECT_ERROR(VpLinearSchedule(0.1, 0.05), Errc::kBadOption, "beta_1");
  EXPECT_ERROR(VpLinearSchedule(0.1, 20, 0), Errc::kBadOption, "t_eps");
  EXPECT_ERROR(VeSchedule(0, 80), Errc::kBadOption, "[0, 80]");
  EXPECT_ERROR(CosineSchedule(-1), Errc::kBadOption, "s = -1");
  EXPECT_ERROR(FlowSchedule(nan), Errc::kBadOption, "t_eps");
  EXPECT_ERROR(EdmAsVpSchedule(1e-3, 90, 80), Errc::kBadOption, "[90, 80]");
  EXPECT_ERROR(ScaledLinearAlphasCumprod(0.5, 0.1), Errc::kBadOption, "0.5");
}

// ---- Reference values ----

// |actual - expected| <= atol + rtol |expected|, entry by entry.
::testing::AssertionResult EntriesClose(const Tensor& actual, const Tensor& expected, const Tensor& rtol,
                                        double atol) {
  const Tensor want = expected.to(torch::kFloat64);
  const Tensor excess = (actual - want).abs() - rtol * want.abs() - atol;
  if ((excess <= 0).all().item<bool>()) return ::testing::AssertionSuccess();  // false for NaN
  return ::testing::AssertionFailure() << "entry " << excess.argmax().item<int64_t>() << " is off by "
                                       << excess.max().item<double>() << " more than allowed";
}

SchedulePtr ScheduleOf(const json& c, const Fixture& fixture, const std::string& suffix) {
  if (c.at("kind") == "linear") return VpLinearSchedule(c.at("beta_0"), c.at("beta_1"), c.at("t_eps"));
  const Tensor table = fixture.at(c.at("prefix").get<std::string>() + "/alphas_cumprod_" + suffix);
  return DiscreteSchedule(table);
}

// At a knot ours is the slope of the segment on the left. So is the reference's, except at knots where its
// unstable sort happens to put the query behind the knot; both are one-sided derivatives.
void ExpectOneSidedSlopes(const NoiseSchedule& s, const Tensor& knots, const Tensor& expected) {
  const auto slope_at = [&](const Tensor& t) {
    return DerivativeOf([&](const Tensor& x) { return s.HalfLogSnr(x); }, t);
  };
  const Tensor at = slope_at(knots), left = slope_at(knots * (1 - 1e-10)),
               right = slope_at(knots * (1 + 1e-10));
  const Tensor first = knots <= knots.min();  // nothing lies to its left: the first segment is extended
  EXPECT_TRUE(testing::Close(at, torch::where(first, right, left), 1e-8, 0));
  const Tensor off = torch::minimum((expected - at).abs(), (expected - right).abs());
  EXPECT_TRUE((off <= 1e-8 * expected.abs()).all().item<bool>());
}

TEST(NoiseScheduleReference, Float64) {
  const Fixture fixture("noise_schedule/noise_schedule");
  for (const json& c : fixture.cases()) {
    const std::string prefix = c.at("prefix");
    SCOPED_TRACE(prefix);
    const SchedulePtr s = ScheduleOf(c, fixture, "f64");
    const auto expected = [&](const char* name) { return fixture.at(prefix + "/" + name + "_f64"); };
    const Tensor t = expected("t"), lambda = expected("lambda_in");
    const auto bound = [](const Tensor& time) { return torch::where(time > 1e-3, 1e-11, 1e-9); };
    EXPECT_TRUE(EntriesClose(s->Alpha(t), expected("alpha"), bound(t), 1e-12));
    EXPECT_TRUE(EntriesClose(s->Sigma(t), expected("std"), bound(t), 1e-12));
    EXPECT_TRUE(EntriesClose(s->HalfLogSnr(t), expected("lam"), bound(t), 1e-12));
    const Tensor time = s->TimeOfHalfLogSnr(lambda);
    EXPECT_TRUE(EntriesClose(time, expected("inverse_lambda"), bound(time), 1e-12));
    const auto forward = [&](const Tensor& x) { return s->HalfLogSnr(x); };
    const auto inverse = [&](const Tensor& x) { return s->TimeOfHalfLogSnr(x); };
    const Tensor loose = torch::tensor(1e-9, torch::kFloat64);
    EXPECT_TRUE(EntriesClose(DerivativeOf(forward, t), expected("dlambda_dt"), loose, 1e-12));
    EXPECT_TRUE(EntriesClose(DerivativeOf(inverse, lambda), expected("dt_dlambda"), loose, 1e-12));
    if (c.at("kind") != "discrete") continue;
    const Tensor knots = expected("t_knots");
    EXPECT_TRUE(EntriesClose(s->HalfLogSnr(knots), expected("lam_knots"), bound(knots), 1e-12));
    ExpectOneSidedSlopes(*s, knots, expected("dlambda_dt_knots"));
    const Tensor table = ScaledLinearAlphasCumprod(c.at("linear_start"), c.at("linear_end"), c.at("N"));
    EXPECT_TRUE(testing::Close(table, expected("alphas_cumprod"), 1e-13, 0));
  }
}

// The references run in float32; ours, in float64, agrees as far as theirs is accurate.
TEST(NoiseScheduleReference, Float32WithinItsOwnRounding) {
  const Fixture fixture("noise_schedule/noise_schedule");
  for (const json& c : fixture.cases()) {
    const std::string prefix = c.at("prefix");
    SCOPED_TRACE(prefix);
    const SchedulePtr s = ScheduleOf(c, fixture, "f32");
    const auto expected = [&](const char* name) { return fixture.at(prefix + "/" + name + "_f32"); };
    const Tensor t = expected("t").to(torch::kFloat64), lambda = expected("lambda_in").to(torch::kFloat64);
    const bool discrete = c.at("kind") == "discrete";
    const double small_t = c.value("t_eps", 1e-3) < 1e-3 ? 5e-3 : 1e-3;
    const Tensor alpha_bound = torch::where(t < 0.05, 1e-4, discrete ? 1e-4 : 2e-6);
    EXPECT_TRUE(EntriesClose(s->Alpha(t), expected("alpha"), alpha_bound, 1e-6));
    const Tensor sigma_bound = torch::where(t < 0.05, small_t, 5e-6);
    EXPECT_TRUE(EntriesClose(s->Sigma(t), expected("std"), sigma_bound, 1e-6));
    EXPECT_TRUE(EntriesClose(s->HalfLogSnr(t), expected("lam"), sigma_bound, 1e-6));
    const Tensor time = s->TimeOfHalfLogSnr(lambda);
    const Tensor time_bound = torch::where(time < 0.01, 2e-2, 5e-6);
    EXPECT_TRUE(EntriesClose(time, expected("inverse_lambda"), time_bound, 1e-6));
  }
}

TEST(NoiseScheduleReference, BetasOfEdmNetworks) {
  const Fixture fixture("noise_schedule/noise_schedule");
  int64_t checked = 0;
  for (const auto& [name, block] : fixture.json().at("linear_schedules").items()) {
    if (!block.contains("net_sigma_min")) continue;
    const json ours = EdmAsVpSchedule(block.at("t_eps"), Number(block.at("net_sigma_min")),
                                      Number(block.at("net_sigma_max")))
                          ->ToJson();
    EXPECT_NEAR(ours.at("beta_0").get<double>(), block.at("beta_0").get<double>(), 1e-10) << name;
    EXPECT_NEAR(ours.at("beta_1").get<double>(), block.at("beta_1").get<double>(), 1e-10) << name;
    ++checked;
  }
  EXPECT_GT(checked, 0);
}

}  // namespace
}  // namespace gas
