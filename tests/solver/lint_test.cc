#include "gas/solver/lint.h"

#include "gas/grid/time_grid.h"
#include "gas/solver/edm_samplers.h"
#include "gas/solver/registry.h"
#include "gas/solver/sampler.h"
#include "support/expect.h"
#include "support/gmm.h"
#include "support/schedules.h"

namespace gas {
namespace {

using testing::AllSchedules;
using ::testing::Contains;
using ::testing::Field;
using ::testing::HasSubstr;

StepTable Table(const std::string& solver, int64_t nfe, const NoiseSchedule& schedule = *AllSchedules()[0]) {
  StepTable table = MakeSolverTable(solver, schedule, "", nfe, schedule.t_end());
  for (Tensor* entry : {&table.t, &table.t_eval, &table.a, &table.b}) *entry = entry->clone();
  return table;
}

LintReport Lint(const StepTable& table) { return LintTable(table, *AllSchedules()[0]); }

double At(const Tensor& t, int64_t i) { return t[i].item<double>(); }

// The finding with this text is there and counts as `verdict`.
auto Finds(LintVerdict verdict, const std::string& text) {
  return Contains(AllOf(Field(&LintFinding::verdict, verdict), Field(&LintFinding::text, HasSubstr(text))));
}

// A table of random rows, every entry in use.
StepTable RandomRows(int64_t n) {
  StepTable table = Table("ddim", n);
  torch::manual_seed(3);
  table.a = (0.3 * torch::randn({n, n}, torch::kFloat64)).tril();
  table.b = (0.3 * torch::randn({n, n}, torch::kFloat64)).tril();
  table.prior_std = 1.5;
  return table;
}

// Data predictions that do not depend on the state.
class FixedPredictions : public Denoiser {
 public:
  explicit FixedPredictions(std::vector<double> values) : values_(std::move(values)) {}
  PredictionType prediction_type() const override { return PredictionType::kData; }
  Tensor Predict(const Tensor& x, const NoiseLevel&, const Condition&) const override {
    return torch::full_like(x, values_[next_++]);
  }

 private:
  std::vector<double> values_;
  mutable size_t next_ = 0;
};

double Sample(const StepTable& table, const std::vector<double>& predictions, double x_0) {
  const Tensor noise = torch::full({1}, x_0 / table.prior_std, torch::kFloat64);
  return RunTable(table, FixedPredictions(predictions), noise, {}).item<double>();
}

TEST(Lint, EveryNamedSolverKeepsBrightness) {
  for (const SchedulePtr& schedule : AllSchedules()) {
    for (const SolverInfo& solver : ListSolvers()) {
      if (solver.default_grid.empty()) continue;  // ends near the data, not at t_eps
      for (const int64_t nfe : {1, 3, 5, 9, 21}) {
        if (solver.name == "pndm" && nfe == 1) continue;  // its first step takes two
        SCOPED_TRACE(solver.name + " " + std::to_string(nfe) + " " +
                     schedule->ToJson()["kind"].get<std::string>());
        const LintReport report = LintTable(Table(solver.name, nfe, *schedule), *schedule);
        EXPECT_LT(std::abs(report.brightness.value), 1e-9);
        for (const LintRow& row : report.rows) EXPECT_LT(std::abs(row.brightness.value), 1e-9);
        ASSERT_EQ(report.rows.size(), static_cast<size_t>(nfe));
        // The last of equal steps in sigma is most of the way in lambda, and its sums cancel there.
        const bool coarse = solver.name == "pndm" && schedule->ToJson()["kind"] == "ve";
        if (nfe == 21 && !coarse) {
          EXPECT_EQ(report.verdict, LintVerdict::kSafe) << report.findings.back().text;
        }
      }
    }
  }
}

// Third order in noise prediction diverges in few steps (Lu et al. 2022b, section 3): the reason for
// DPM-Solver++.
TEST(Lint, FindsTheInstabilityThatIsKnown) {
  for (const SchedulePtr& schedule : {AllSchedules()[0], AllSchedules()[2], AllSchedules()[3]}) {
    const LintReport report = LintTable(Table("dpm-3s", 5, *schedule), *schedule);
    EXPECT_EQ(report.verdict, LintVerdict::kUnstable);
    EXPECT_GT(report.noise_gain.value, 4 * report.reference_noise_gain.value());
    EXPECT_EQ(LintTable(Table("dpmpp-3s", 5, *schedule), *schedule).verdict, LintVerdict::kSafe);
  }
}

// DPM-Solver++ whose row n adds a tenth more of its predictions.
struct ScaledRow {
  explicit ScaledRow(int64_t n) {
    change = 0.1 * table.b[n].sum().item<double>();
    table.b[n] *= 1.1;
  }
  StepTable table = Table("dpmpp-3m", 5);
  double change;  // of x_{n+1}, for predictions of 1
};

TEST(Lint, AScaledLastRowChangesBrightness) {
  const ScaledRow last(4);
  const LintReport report = Lint(last.table);
  EXPECT_EQ(report.verdict, LintVerdict::kChangesBrightness);
  const double end = AllSchedules()[0]->Alpha(At(last.table.t, -1));
  EXPECT_NEAR(report.rows[4].brightness.value, last.change / end, 1e-12);
  EXPECT_NEAR(report.brightness.value, last.change / end, 1e-12);
  EXPECT_LT(std::abs(report.rows[3].brightness.value), 1e-12);
  EXPECT_THAT(report.findings, Finds(LintVerdict::kSafe, "row 4 changes brightness by +"));
  EXPECT_THAT(report.findings,
              Finds(LintVerdict::kChangesBrightness, "the sample's brightness changes by +"));
}

// Rows may make other states than the flow's on the way to the right sample.
TEST(Lint, ARowThatTheSampleDoesNotShowIsSafe) {
  const ScaledRow row(3);
  const LintReport report = Lint(row.table);
  EXPECT_EQ(report.verdict, LintVerdict::kSafe);
  const double scale = std::max(At(row.table.alpha, 4), At(row.table.sigma, 4));
  EXPECT_NEAR(report.rows[3].brightness.value, row.change / scale, 1e-12);
  EXPECT_LT(std::abs(report.rows[2].brightness.value), 1e-12);
  EXPECT_LT(std::abs(report.brightness.value), kLintBrightness);
  EXPECT_THAT(report.findings, Finds(LintVerdict::kSafe, "row 3 changes brightness by +"));
}

TEST(Lint, LargeAlternatingCoefficientsAreUnstable) {
  StepTable table = Table("dpmpp-3m", 5);
  table.b[4][3] += 4000;
  table.b[4][2] -= 4000;
  const LintReport report = Lint(table);
  EXPECT_LT(std::abs(report.brightness.value), 1e-9);
  EXPECT_EQ(report.verdict, LintVerdict::kUnstable);
  EXPECT_GT(report.rows[4].cancellation.value, 5000);
  EXPECT_GT(report.rows[4].max_b.value, 3999);
  EXPECT_THAT(report.findings, Finds(LintVerdict::kUnstable, "errors of predictions arrive in the sample 5"));
  EXPECT_THAT(report.findings, Finds(LintVerdict::kUnstable, "float16"));
}

TEST(Lint, NoiseThatStaysIsUnstable) {
  StepTable table = Table("dpmpp-3m", 5);
  table.a[4][0] += 0.2;
  EXPECT_THAT(Lint(table).findings, Finds(LintVerdict::kUnstable, "x_0's noise arrives in the sample 0.21"));
}

TEST(Lint, TimesAreNamed) {
  StepTable table = Table("dpmpp-3m", 4);
  table.t_eval[2] = 0.99;
  table.t_eval[0] = 1.25;
  table.t_eval[3] = -0.5;
  const LintReport report = Lint(table);
  EXPECT_THAT(report.findings, Finds(LintVerdict::kSafe, "t_eval[2] = 0.99 is above t_eval[1] = 0.7"));
  EXPECT_THAT(report.findings,
              Finds(LintVerdict::kSafe, "t_eval[0] = 1.25 is outside of the schedule, (0, 1]"));
  EXPECT_THAT(report.findings, Finds(LintVerdict::kSafe, "t_eval[3] = -0.5 is outside"));

  table = Table("dpmpp-3m", 4);
  table.t[2] = 0.9;
  const LintReport ascending = Lint(table);
  EXPECT_THAT(ascending.findings, Finds(LintVerdict::kUnstable, "t[2] = 0.9 is above t[1] = 0.7"));
  EXPECT_FALSE(ascending.reference_noise_gain);

  const LintReport heun = LintTable(Table("heun", 5), *AllSchedules()[0]);
  EXPECT_THAT(heun.findings, Finds(LintVerdict::kSafe, "t[1] = t[2] = "));
  EXPECT_GT(heun.reference_noise_gain.value(), 0);
}

TEST(Lint, SamplersThatEndWithoutNoiseHaveNoReference) {
  const EdmSampler edm = EdmHeunSampler({.steps = 10});
  const LintReport report = LintTable(edm.table, *edm.schedule);
  EXPECT_EQ(report.verdict, LintVerdict::kSafe);
  EXPECT_FALSE(report.reference_noise_gain);
  EXPECT_LT(report.half_error.value, kLintHalfError);
}

// ---- The numbers, against what the sampler does ----

TEST(Lint, BrightnessIsThatOfARunWithConstantPredictions) {
  const StepTable table = RandomRows(5);
  const double sample = Sample(table, std::vector<double>(5, 0.7), 0.7 * At(table.alpha, 0));
  const double expected = 0.7 * AllSchedules()[0]->Alpha(At(table.t, -1));
  EXPECT_NEAR(Lint(table).brightness.value, sample / expected - 1, 1e-12);
}

TEST(Lint, GainsAreThoseOfUnitImpulses) {
  const StepTable table = RandomRows(5);
  double squares = 0;
  for (size_t j = 0; j < 5; ++j) {
    std::vector<double> impulse(5, 0.0);
    impulse[j] = 1;
    squares += std::pow(Sample(table, impulse, 0), 2);
  }
  const LintReport report = Lint(table);
  EXPECT_NEAR(report.noise_gain.value, std::sqrt(squares), 1e-12);
  EXPECT_NEAR(report.start_noise.value, std::abs(Sample(table, std::vector<double>(5, 0.0), table.prior_std)),
              1e-12);
  EXPECT_GT(report.start_noise.value, 0);
}

TEST(Lint, TheReferenceIsItself) {
  const StepTable table = Table("dpmpp-3m", 12);  // ten and more keep their order to the end
  const LintReport report = Lint(table);
  EXPECT_NEAR(report.noise_gain.value, report.reference_noise_gain.value(), 1e-12);
}

TEST(Lint, Cancellation) {
  StepTable table = RandomRows(3);
  table.b = torch::tensor({{0.0, 0.0, 0.0}, {3.0, -2.0, 0.0}, {0.25, 0.25, 0.5}}, torch::kFloat64);
  const LintReport report = Lint(table);
  EXPECT_EQ(report.rows[0].cancellation.value, 1);
  EXPECT_EQ(report.rows[1].cancellation.value, 5);
  EXPECT_EQ(report.rows[2].cancellation.value, 1);
  EXPECT_EQ(report.rows[1].max_b.value, 3);
}

TEST(Lint, WholeTimesteps) {
  StepTable table = Table("dpmpp-3m", 3);
  const NoiseSchedule& schedule = *AllSchedules()[0];
  table.t_eval[0] = 0.999;
  table.t_eval[1] = 0.5004;
  table.t_eval[2] = 0.0002;  // the first timestep is 0.001
  const LintReport report = Lint(table);
  const auto expected = [&](int64_t n, double whole) {
    return std::abs(schedule.HalfLogSnr(whole) - schedule.HalfLogSnr(At(table.t_eval, n))) /
           (schedule.HalfLogSnr(At(table.t, n + 1)) - schedule.HalfLogSnr(At(table.t, n)));
  };
  EXPECT_EQ(report.rows[0].timestep_shift, 0);
  EXPECT_NEAR(report.rows[1].timestep_shift, expected(1, 0.5), 1e-12);
  EXPECT_NEAR(report.rows[2].timestep_shift, expected(2, 0.001), 1e-12);
  EXPECT_EQ(report.timestep_row, 2);
  EXPECT_EQ(report.timestep_shift, report.rows[2].timestep_shift);
  EXPECT_THAT(report.findings, Finds(LintVerdict::kSafe, "at whole timesteps of 1000 evaluation 2 moves by"));
  EXPECT_TRUE(std::isnan(LintTable(Table("ddim", 3, *AllSchedules()[1]), *AllSchedules()[1]).timestep_shift));
}

TEST(Lint, TimestepsAreTheSchedulesOwn) {
  const SchedulePtr schedule = DiscreteSchedule(ScaledLinearAlphasCumprod(0.00015, 0.04, 291));
  StepTable table = Table("ddim", 2, *schedule);
  table.t_eval[0] = 291.0 / 291;
  table.t_eval[1] = 100.4 / 291;
  const LintReport report = LintTable(table, *schedule);
  EXPECT_EQ(report.timesteps, 291);
  EXPECT_EQ(report.rows[0].timestep_shift, 0);
  const double moved = schedule->HalfLogSnr(100.0 / 291) - schedule->HalfLogSnr(100.4 / 291);
  const double step = schedule->HalfLogSnr(At(table.t, 2)) - schedule->HalfLogSnr(At(table.t, 1));
  EXPECT_NEAR(report.rows[1].timestep_shift, moved / step, 1e-12);
  EXPECT_EQ(Lint(Table("ddim", 2)).timesteps, kLintTimesteps);
}

Tensor Half(const Tensor& t) { return t.to(torch::kFloat16).to(torch::kFloat64); }

// The error of a run whose coefficients and states are float16 for Gaussian data, over the deviation of such
// samples.
double HalfErrorOf(const StepTable& table, const NoiseSchedule& schedule) {
  const testing::GaussianDenoiser network(0.0, 0.5);
  torch::manual_seed(7);
  const Tensor noise = torch::randn({4096}, torch::kFloat64);
  const Tensor a = Half(table.a), b = Half(table.b);
  std::vector<Tensor> x{Half(noise * table.prior_std)}, m;
  for (int64_t n = 0; n < table.nfe(); ++n) {
    m.push_back(network.Predict(x[n], {table.t_eval[n], table.alpha_eval[n], table.sigma_eval[n]}, {}));
    Tensor next = torch::zeros_like(noise);
    for (int64_t j = 0; j <= n; ++j) next = next + a[n][j] * x[j] + b[n][j] * m[j];
    x.push_back(Half(next));
  }
  const Tensor exact = RunTable(table, network, noise, {});
  const double t_end = At(table.t, -1),
               deviation = std::hypot(0.5 * schedule.Alpha(t_end), schedule.Sigma(t_end));
  return (x.back() - exact).square().mean().sqrt().item<double>() / deviation;
}

TEST(Lint, HalfErrorIsABoundOfTheRightOrder) {
  for (const SchedulePtr& schedule : AllSchedules()) {
    for (const char* solver : {"ddim", "dpmpp-3m", "unipc-3-bh2", "ipndm-3", "deis-2", "dpm-2m", "heun"}) {
      for (const int64_t nfe : {3, 7, 15}) {
        SCOPED_TRACE(solver + (" " + std::to_string(nfe) + " ") +
                     schedule->ToJson()["kind"].get<std::string>());
        const StepTable table = Table(solver, nfe, *schedule);
        const double bound = LintTable(table, *schedule).half_error.value,
                     error = HalfErrorOf(table, *schedule);
        EXPECT_LE(error, bound);
        EXPECT_GE(error, bound / 100);
      }
    }
  }
}

TEST(Lint, CoefficientsBeyondHalfHaveNoBound) {
  StepTable table = Table("ddim", 2);
  table.b[0][0] = 1e5;
  const LintReport report = Lint(table);
  EXPECT_TRUE(std::isinf(report.half_error.value));
  EXPECT_EQ(report.verdict, LintVerdict::kUnstable);
}

// ---- Spectral tables ----

StepTable Spectral(StepTable table, int64_t bands) {
  const SpectralBasisPtr basis = MakeSpectralBasis({3, 8, 8}, bands);
  const int64_t n = table.nfe();
  for (Tensor* m : {&table.a, &table.b}) *m = m->view({n, n, 1, 1}).repeat({1, 1, 3, basis->bands()});
  table.basis = basis;
  return table;
}

TEST(Lint, EqualBandsAreTheScalarTable) {
  const StepTable table = RandomRows(4);
  const LintReport scalar = Lint(table), spectral = Lint(Spectral(table, 5));
  EXPECT_FALSE(scalar.spectral);
  EXPECT_TRUE(spectral.spectral);
  EXPECT_EQ(scalar.verdict, spectral.verdict);
  for (const auto member : {&LintReport::brightness, &LintReport::noise_gain, &LintReport::start_noise,
                            &LintReport::half_error}) {
    EXPECT_NEAR((spectral.*member).value, (scalar.*member).value, 1e-12);
  }
  EXPECT_NEAR(spectral.contrast.value, scalar.brightness.value, 1e-12);
  for (size_t n = 0; n < 4; ++n) {
    EXPECT_NEAR(spectral.rows[n].brightness.value, scalar.rows[n].brightness.value, 1e-12);
    EXPECT_NEAR(spectral.rows[n].cancellation.value, scalar.rows[n].cancellation.value, 1e-9);
  }
}

TEST(Lint, TheWorstBandIsNamed) {
  StepTable table = Spectral(Table("dpmpp-3m", 4), 5);
  table.b[3][1][1][3] -= 0.05;
  const LintReport contrast = Lint(table);
  EXPECT_EQ(contrast.rows[3].contrast.component, 1);
  EXPECT_EQ(contrast.rows[3].contrast.band, 3);
  EXPECT_LT(std::abs(contrast.brightness.value), 1e-12);
  EXPECT_EQ(contrast.verdict, LintVerdict::kSafe);
  EXPECT_THAT(contrast.findings,
              Finds(LintVerdict::kSafe, "sample's contrast (component 1, band 3) changes by -5"));

  table = Spectral(Table("dpmpp-3m", 4), 5);
  table.b[3][3][2][0] += 0.05;
  const LintReport brightness = Lint(table);
  EXPECT_EQ(brightness.verdict, LintVerdict::kChangesBrightness);
  EXPECT_THAT(brightness.findings, Finds(LintVerdict::kChangesBrightness,
                                         "sample's brightness (component 2, band 0) changes by +5.0 %"));

  table = Spectral(Table("dpmpp-3m", 4), 5);
  table.b[3][3][0][4] += 30;
  table.b[3][2][0][4] -= 30;
  EXPECT_THAT(
      Lint(table).findings,
      Finds(LintVerdict::kUnstable, "errors of predictions arrive in the sample (component 0, band 4) 4"));
}

// docs/math/lint.md (8) for a single step, number by number; data of variance 0.25.
TEST(Lint, TheErrorOfFloat16IsItsFormula) {
  constexpr double kUnit = 1.0 / 2048, kVariance = 0.25;
  const SchedulePtr schedule = VpLinearSchedule();
  const StepTable table = MakeSolverTable("ddim", *schedule, "0.7,0.3", 1, 0.3);
  const auto rounding = [](double value) {
    const Tensor exact = Scalar(value);
    return std::abs(exact.to(torch::kFloat16).to(torch::kFloat64).item<double>() - value);
  };
  const double a = table.a[0][0].item<double>(), b = table.b[0][0].item<double>();
  const double alpha = schedule->Alpha(0.7), sigma = schedule->Sigma(0.7);
  const double start = std::sqrt(alpha * alpha * kVariance + sigma * sigma);
  const double end =
      std::sqrt(std::pow(schedule->Alpha(0.3), 2) * kVariance + std::pow(schedule->Sigma(0.3), 2));
  const double response = (1 - sigma * sigma / (start * start)) / alpha;
  const double gain = a + b * response;
  const double last = std::max(std::abs(gain) * start, end);
  const double prediction = std::max(std::abs(response) * start, std::sqrt(kVariance));
  const double made = rounding(a) * start + rounding(b) * prediction + kUnit * last;
  const double expected = (made + std::abs(gain) * kUnit * start) / end;
  EXPECT_NEAR(LintTable(table, *schedule).half_error.value, expected, 1e-9 * expected);
}

TEST(Lint, ASpectralStartScalesTheNoise) {
  StepTable table = Spectral(Table("dpmpp-3m", 3), 5);
  const double plain = Lint(table).start_noise.value;
  Tensor gain = torch::full({3, 8, 8}, 0.5, torch::kFloat64);
  gain[2][7][7] = 3;
  table.start = std::make_shared<SpectralStart>(SpectralStart{gain, torch::zeros_like(gain)});
  const LintReport report = Lint(table);
  EXPECT_NEAR(report.start_noise.value, 3 * plain, 1e-12);
  EXPECT_EQ(report.start_noise.component, 2);
  EXPECT_EQ(report.start_noise.band, 4);
}

TEST(Lint, RefusesWhatIsNoTable) { EXPECT_ERROR(Lint(StepTable()), Errc::kBadOption, "t_eval"); }

}  // namespace
}  // namespace gas
