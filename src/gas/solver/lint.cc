#include "gas/solver/lint.h"

#include <fmt/format.h>

#include "gas/solver/constant_image.h"
#include "gas/solver/dpm_multistep.h"

namespace gas {
namespace {

constexpr double kHalfUnit = 1.0 / 2048;  // rounding unit of float16
constexpr double kDataVariance = 0.25;    // of images in [-1, 1], about

double Value(const Tensor& t, int64_t i) { return t[i].item<double>(); }
Tensor Column(const Tensor& t) { return t.unsqueeze(1); }

// Everything below treats a spectral table as P = C * K scalar ones, which share nothing but their times.
struct Columns {
  Tensor a, b;                    // [N,N,P]
  Tensor alpha, sigma;            // [N+1], the sample's last
  Tensor alpha_eval, sigma_eval;  // [N]
  int64_t bands = 1;
};

Columns ColumnsOf(const StepTable& table, const NoiseSchedule& schedule) {
  const int64_t n = table.nfe();
  const Tensor end = table.t.slice(0, n);
  return {table.a.reshape({n, n, -1}),
          table.b.reshape({n, n, -1}),
          torch::cat({table.alpha, schedule.Alpha(end)}),
          torch::cat({table.sigma, schedule.Sigma(end)}),
          table.alpha_eval,
          table.sigma_eval,
          table.spectral() ? table.basis->bands() : 1};
}

// The entry of largest magnitude of values [P]; NaN counts as larger than all.
LintValue Largest(const Tensor& values, int64_t bands) {
  const int64_t i = values.abs().argmax().item<int64_t>();
  return {Value(values, i), i / bands, i % bands};
}

// Sets brightness from band 0 of `change` [P], contrast from the others.
void SetChange(const Tensor& change, int64_t bands, LintValue& brightness, LintValue& contrast) {
  const Tensor by_band = change.view({-1, bands});
  brightness = Largest(by_band.select(1, 0), 1);
  if (bands == 1) return;
  contrast = Largest(by_band.slice(1, 1).reshape({-1}), bands - 1);
  ++contrast.band;
}

// How much of an addition to x_j arrives in x_N, when x_{n+1} = sum_{j<=n} m[n][j] x_j: [N+1,P].
Tensor StateGains(const Tensor& m) {
  const int64_t n = m.size(0);
  Tensor gains = torch::ones({n + 1, m.size(2)}, torch::kFloat64);
  for (int64_t j = n - 1; j >= 0; --j) gains[j] = (m.slice(0, j).select(1, j) * gains.slice(0, j + 1)).sum(0);
  return gains;
}

// Weights of the predictions in the sample, those of older states written out: [N,P].
Tensor PredictionWeights(const Columns& c, const Tensor& state_gains) {
  return (c.b * state_gains.slice(0, 1).unsqueeze(1)).sum(0);
}

// Derivative of m_j by x_j for Gaussian data (docs/math/lint.md (7)): [N].
Tensor Responses(const Columns& c) {
  const int64_t n = c.alpha_eval.size(0);
  const Tensor total = c.alpha_eval.square() * kDataVariance + c.sigma_eval.square();
  return (1 - c.sigma.slice(0, 0, n) * c.sigma_eval / total) / c.alpha.slice(0, 0, n);
}

Tensor RoundingError(const Tensor& coefficients) {
  return (coefficients.to(torch::kFloat16).to(torch::kFloat64) - coefficients).abs();
}

// The deviation of each state for Gaussian data, on the flow or in the table's own run if that is larger: in
// few steps states may stray far. m [N,N,P]: weights of older states, through their predictions too. Returns
// [N+1,P].
Tensor StateScales(const Columns& c, const Tensor& m) {
  const Tensor flow = Column((c.alpha.square() * kDataVariance + c.sigma.square()).sqrt());
  Tensor run = flow.repeat({1, m.size(2)});
  for (int64_t n = 0; n < m.size(0); ++n) {
    run[n + 1] = (m[n].slice(0, 0, n + 1) * run.slice(0, 0, n + 1)).sum(0);
  }
  return torch::maximum(run.abs(), flow);
}

// docs/math/lint.md (8): [P].
Tensor HalfError(const Columns& c) {
  const int64_t n = c.a.size(0);
  const Tensor response = Responses(c).unsqueeze(1);  // [N,1]
  const Tensor m = c.a + c.b * response;
  const Tensor states = StateScales(c, m);
  const Tensor predictions = (response * states.slice(0, 0, n)).abs().clamp_min(std::sqrt(kDataVariance));
  const Tensor from_a = (RoundingError(c.a) * states.slice(0, 0, n)).sum(1);
  const Tensor from_b = (RoundingError(c.b) * predictions).sum(1);
  const Tensor made = from_a + from_b + kHalfUnit * states.slice(0, 1);  // in x_1 .. x_N [N,P]
  const Tensor gains = StateGains(m).abs();
  const Tensor end = (c.alpha[n].square() * kDataVariance + c.sigma[n].square()).sqrt();
  return ((gains.slice(0, 1) * made).sum(0) + gains[0] * kHalfUnit * states[0]) / end;
}

// The deviation of x_0 where the noise's is 1: [P], or [1].
Tensor StartDeviation(const StepTable& table) {
  if (!table.start) return torch::full({1}, table.prior_std, torch::kFloat64);
  const Tensor gain = table.start->gain.abs() * table.prior_std;  // [C,H,W]
  if (!table.spectral()) return gain.max().view({1});
  const int64_t components = table.basis->components(), bands = table.basis->bands();
  const Tensor band = table.basis->BandOfFrequency().flatten(), flat = gain.view({components, -1});
  Tensor largest = torch::zeros({components, bands}, torch::kFloat64);
  for (int64_t k = 0; k < bands; ++k) {
    const Tensor members = flat.index_select(1, band.eq(k).nonzero().flatten());
    if (members.size(1) > 0) largest.select(1, k) = members.amax(1);
  }
  return largest.flatten();
}

// That of dpmpp-3m on the distinct times of the table; nothing if there is none on them: they do not descend
// to a time above 0, or the schedule does not reach them.
std::optional<double> ReferenceNoiseGain(const StepTable& table, const NoiseSchedule& schedule) {
  if (!schedule.HalfLogSnr(table.t).isfinite().all().item<bool>()) return std::nullopt;
  std::vector<double> times{Value(table.t, 0)};
  for (int64_t n = 1; n < table.t.size(0); ++n) {
    const double t = Value(table.t, n);
    if (t > times.back() || t <= 0) return std::nullopt;
    if (t < times.back()) times.push_back(t);
  }
  if (times.size() < 2) return std::nullopt;
  const DpmMultistepOptions options{.order = std::min<int64_t>(3, static_cast<int64_t>(times.size()) - 1),
                                    .lower_order_final = false};
  const StepTable reference = DpmMultistepTable(options, schedule, torch::tensor(times, torch::kFloat64));
  const Columns c = ColumnsOf(reference, schedule);
  return PredictionWeights(c, StateGains(c.a)).norm().item<double>();
}

int64_t LintTimesteps(const NoiseSchedule& schedule) { return schedule.timesteps().value_or(kLintTimesteps); }

// Of evaluation n. The step is that to the next other time: Heun's samplers evaluate twice at one.
double TimestepShift(const StepTable& table, const NoiseSchedule& schedule, int64_t n) {
  if (schedule.t_start() > 1) return std::numeric_limits<double>::quiet_NaN();
  const double seen = Value(table.t_eval, n), t = Value(table.t, n);
  const double count = static_cast<double>(LintTimesteps(schedule));
  const double whole = std::clamp(std::round(seen * count), 1.0, count) / count;
  const double shift = std::abs(schedule.HalfLogSnr(whole) - schedule.HalfLogSnr(seen));
  if (!(shift > 0)) return 0;
  for (int64_t i = n + 1; i < table.t.size(0); ++i) {
    const double next = Value(table.t, i);
    if (next != t) return shift / std::abs(schedule.HalfLogSnr(next) - schedule.HalfLogSnr(t));
  }
  return shift;
}

std::vector<LintRow> Rows(const StepTable& table, const Columns& c, const NoiseSchedule& schedule) {
  const Tensor scale = torch::maximum(c.alpha, c.sigma);
  std::vector<LintRow> rows(table.nfe());
  for (int64_t n = 0; n < table.nfe(); ++n) {
    LintRow& row = rows[n];
    const Tensor a = c.a[n].slice(0, 0, n + 1), b = c.b[n].slice(0, 0, n + 1);
    const Tensor kept = (a * Column(c.alpha.slice(0, 0, n + 1))).sum(0) + b.sum(0);
    SetChange((kept - c.alpha[n + 1]) / scale[n + 1], c.bands, row.brightness, row.contrast);
    row.max_a = Largest(a.abs().amax(0), c.bands);
    row.max_b = Largest(b.abs().amax(0), c.bands);
    const Tensor magnitude = b.abs().sum(0);
    row.cancellation = Largest(
        torch::where(magnitude.eq(0), torch::ones_like(magnitude), magnitude / b.sum(0).abs()), c.bands);
    row.timestep_shift = TimestepShift(table, schedule, n);
  }
  return rows;
}

// ---- Findings ----

std::string Percent(double value) { return fmt::format("{:+.1f} %", 100 * value); }

class Findings {
 public:
  explicit Findings(LintReport& report) : report_(report) {}

  template <class... Parts>
  void Add(LintVerdict verdict, fmt::format_string<Parts...> format, Parts&&... parts) {
    report_.findings.push_back({verdict, fmt::format(format, std::forward<Parts>(parts)...)});
    report_.verdict = std::max(report_.verdict, verdict);
  }

  void Times(const StepTable& table, const NoiseSchedule& schedule) {
    for (int64_t n = 0; n < table.nfe(); ++n) {
      const double t = Value(table.t, n), next = Value(table.t, n + 1);
      if (next > t) Add(LintVerdict::kUnstable, "t[{}] = {} is above t[{}] = {}", n + 1, next, n, t);
      if (next == t) Add(LintVerdict::kSafe, "t[{}] = t[{}] = {}: two evaluations at one time", n, n + 1, t);
    }
    for (int64_t n = 0; n < table.nfe(); ++n) {
      const double seen = Value(table.t_eval, n), start = schedule.t_start();
      if (n > 0 && seen > Value(table.t_eval, n - 1)) {
        Add(LintVerdict::kSafe, "t_eval[{}] = {} is above t_eval[{}] = {}", n, seen, n - 1,
            Value(table.t_eval, n - 1));
      }
      if (!(seen > 0 && seen <= start * (1 + 1e-9))) {
        Add(LintVerdict::kSafe, "t_eval[{}] = {} is outside of the schedule, (0, {}]", n, seen, start);
      }
    }
  }

  void Changes() {
    const auto beyond = [](const LintValue& v) { return !(std::abs(v.value) <= kLintBrightness); };
    for (size_t n = 0; n < report_.rows.size(); ++n) {
      const LintValue& v = report_.rows[n].brightness;
      if (beyond(v)) {
        Add(LintVerdict::kSafe, "row {}{} changes brightness by {}", n, LintPlace(report_, v),
            Percent(v.value));
      }
    }
    if (beyond(report_.brightness)) {
      Add(LintVerdict::kChangesBrightness, "the sample's brightness{} changes by {}, bound {} %",
          LintPlace(report_, report_.brightness), Percent(report_.brightness.value), 100 * kLintBrightness);
    }
    if (beyond(report_.contrast)) {
      Add(LintVerdict::kSafe, "the sample's contrast{} changes by {}", LintPlace(report_, report_.contrast),
          Percent(report_.contrast.value));
    }
  }

  // end_sigma: at the sample's time, the noise that a sample rightly has.
  void Amplification(double end_sigma) {
    const double gain = report_.noise_gain.value;
    const std::optional<double> reference = report_.reference_noise_gain;
    // Without a reference the bound is that of one whose weights add up to 1 in one place.
    if (!(gain <= kLintNoiseGain * reference.value_or(1))) {
      Add(LintVerdict::kUnstable, "errors of predictions arrive in the sample{} {:.3g} times, {}",
          LintPlace(report_, report_.noise_gain), gain,
          reference ? fmt::format("in dpmpp-3m {:.3g}", *reference)
                    : fmt::format("bound {:.3g}", kLintNoiseGain));
    }
    const double most = end_sigma + kLintStartNoise;
    if (!(report_.start_noise.value <= most)) {
      Add(LintVerdict::kUnstable, "x_0's noise arrives in the sample{} {:.3g} times, bound {:.3g}",
          LintPlace(report_, report_.start_noise), report_.start_noise.value, most);
    }
    if (!(report_.half_error.value <= kLintHalfError)) {
      Add(LintVerdict::kUnstable, "float16 may change the sample{} by {:.3g} %, bound {} %",
          LintPlace(report_, report_.half_error), 100 * report_.half_error.value, 100 * kLintHalfError);
    }
    if (report_.timestep_shift > kLintTimestepShift) {
      Add(LintVerdict::kSafe,
          "at whole timesteps of {} evaluation {} moves by {:.3g} % of its step in lambda", report_.timesteps,
          report_.timestep_row, 100 * report_.timestep_shift);
    }
  }

 private:
  LintReport& report_;
};

}  // namespace

const char* LintVerdictName(LintVerdict verdict) {
  switch (verdict) {
    case LintVerdict::kSafe: return "safe";
    case LintVerdict::kChangesBrightness: return "changes brightness";
    case LintVerdict::kUnstable: return "unstable";
  }
  return "";
}

std::string LintPlace(const LintReport& report, const LintValue& at) {
  return report.spectral ? fmt::format(" (component {}, band {})", at.component, at.band) : "";
}

LintReport LintTable(const StepTable& traced, const NoiseSchedule& schedule) {
  ValidateTable(traced);
  const torch::NoGradGuard no_grad;
  const StepTable table = traced.Detached();
  const Columns c = ColumnsOf(table, schedule);
  LintReport report;
  report.spectral = table.spectral();
  report.rows = Rows(table, c, schedule);
  const Tensor gains = StateGains(c.a);
  const Tensor end = c.alpha[table.nfe()];
  SetChange((ConstantImageStates(table)[-1] - end) / end, c.bands, report.brightness, report.contrast);
  report.noise_gain = Largest(PredictionWeights(c, gains).norm(2, 0), c.bands);
  report.reference_noise_gain = ReferenceNoiseGain(table, schedule);
  report.start_noise = Largest(gains[0].abs() * StartDeviation(table), c.bands);
  report.half_error = Largest(HalfError(c), c.bands);
  report.timesteps = LintTimesteps(schedule);
  for (size_t n = 0; n < report.rows.size(); ++n) {
    if (n > 0 && !(report.rows[n].timestep_shift > report.timestep_shift)) continue;
    report.timestep_shift = report.rows[n].timestep_shift;
    report.timestep_row = static_cast<int64_t>(n);
  }
  Findings findings(report);
  findings.Times(table, schedule);
  findings.Changes();
  findings.Amplification(Value(c.sigma, -1));
  return report;
}

}  // namespace gas
