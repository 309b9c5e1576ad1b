// What can be said of a table without its network: does it keep brightness, what does it amplify, what does
// it lose in float16 and at whole timesteps (docs/math/lint.md).
#ifndef GAS_SOLVER_LINT_H_
#define GAS_SOLVER_LINT_H_

#include <optional>
#include <string>
#include <vector>

#include "gas/schedule/noise_schedule.h"
#include "gas/solver/step_table.h"

namespace gas {

// A number of which a spectral table has one for each component and band: the largest in magnitude, and where
// it is.
struct LintValue {
  double value = 0;
  int64_t component = 0, band = 0;
};

// Row n, which makes x_{n+1}.
struct LintRow {
  // Change of a constant prediction, sum_j a alpha_j + sum_j b - alpha_{n+1}, over max(alpha_{n+1},
  // sigma_{n+1}). In a spectral table that of band 0, which has the constant image; `contrast` is that of the
  // other bands.
  LintValue brightness, contrast;
  LintValue max_a, max_b;
  // sum |b| / |sum b|, 1 when b is 0: by how much the sum magnifies relative errors of its terms.
  LintValue cancellation;
  // Change of lambda when t_eval moves to the nearest whole timestep, over the step of lambda that follows.
  // NaN if times of the schedule are not in (0, 1].
  double timestep_shift = 0;
};

enum class LintVerdict { kSafe, kChangesBrightness, kUnstable };
const char* LintVerdictName(LintVerdict verdict);  // "safe", "changes brightness", "unstable"

// One sentence with its numbers. kSafe: worth knowing, no reason against the table.
struct LintFinding {
  LintVerdict verdict;
  std::string text;
};

struct LintReport {
  std::vector<LintRow> rows;
  bool spectral = false;
  // Relative change of the sample when every prediction is the same constant image and x_0 is alpha_0 times
  // it.
  LintValue brightness, contrast;
  // The sample's error when each prediction has an independent one of unit variance, to which the network
  // does not respond; and the same of dpmpp-3m on these times, nothing if they do not descend to a time above
  // 0 or begin beyond the schedule.
  LintValue noise_gain;
  std::optional<double> reference_noise_gain;
  // The weight of the unit noise of x_0 in the sample, likewise.
  LintValue start_noise;
  // Bound on the sample's error when coefficients and states are float16, for Gaussian data of variance 1/4
  // and over the deviation of its samples.
  LintValue half_error;
  int64_t timesteps = 0;      // of the schedule, or kLintTimesteps
  double timestep_shift = 0;  // the largest of the rows
  int64_t timestep_row = 0;
  std::vector<LintFinding> findings;
  LintVerdict verdict = LintVerdict::kSafe;  // the worst of the findings
};

// The bounds of the verdict. Where they come from: docs/math/lint.md, section 6.
inline constexpr double kLintBrightness = 0.02;  // of the sample
inline constexpr double kLintNoiseGain = 4;      // times that of dpmpp-3m
inline constexpr double kLintStartNoise = 0.1;   // beyond sigma at the sample's time
inline constexpr double kLintHalfError = 0.1;
inline constexpr double kLintTimestepShift = 0.1;  // beyond it a remark
// Whole timesteps t = (k + 1) / T of schedules in continuous time: hosts round to these.
inline constexpr int64_t kLintTimesteps = 1000;

// " (component C, band K)" for a spectral table, "" for a scalar one.
std::string LintPlace(const LintReport& report, const LintValue& at);

// Throws what ValidateTable throws.
LintReport LintTable(const StepTable& table, const NoiseSchedule& schedule);

}  // namespace gas

#endif  // GAS_SOLVER_LINT_H_
