#include "gas/cli/inspect_solver.h"

#include <functional>
#include <iostream>
#include <optional>

#include <fmt/format.h>

#include "gas/cli/text.h"
#include "gas/core/shown.h"
#include "gas/solver/dpm_multistep.h"
#include "gas/solver/lint.h"

namespace gas::cli {
namespace {

using Json = nlohmann::json;

double At(const Tensor& t, int64_t i) { return t[i].item<double>(); }

// The base solver's table on this table's own times, to show what was learned. Samplers that evaluate twice
// at one time or end at 0 have none, and those whose times the schedule does not reach.
std::optional<StepTable> TheoryOn(const StepTable& table, const NoiseSchedule& schedule) {
  if (!schedule.HalfLogSnr(table.t).isfinite().all().item<bool>()) return std::nullopt;
  if (!table.t.diff().lt(0).all().item<bool>() || At(table.t, -1) <= 0) return std::nullopt;
  const int64_t order = std::min<int64_t>(3, table.nfe());
  return DpmMultistepTable({.order = order, .lower_order_final = false}, schedule, table.t);
}

// Beyond the schedule, where alpha is not positive, there is none.
std::string LambdaText(const NoiseSchedule& schedule, double t) {
  const double lambda = schedule.HalfLogSnr(t);
  return std::isnan(lambda) ? "-" : fmt::format("{:.4f}", lambda);
}

void PrintTimes(const StepTable& table, const NoiseSchedule& schedule) {
  std::cout << "  step            t       t seen     lambda        alpha        sigma\n";
  for (int64_t n = 0; n < table.nfe(); ++n) {
    std::cout << fmt::format("  {:>4} {:>12.6f} {:>12.6f} {:>10} {:>12.6f} {:>12.6f}\n", n, At(table.t, n),
                             At(table.t_eval, n), LambdaText(schedule, At(table.t, n)), At(table.alpha, n),
                             At(table.sigma, n));
  }
  std::cout << fmt::format("   end {:>12.6f} {:>23}\n", At(table.t, -1),
                           LambdaText(schedule, At(table.t, -1)));
}

void PrintBasis(const StepTable& table) {
  if (!table.basis) return;
  std::cout << fmt::format("  {} components, {} bands with edges", table.basis->components(),
                           table.basis->bands());
  for (int64_t k = 0; k <= table.basis->bands(); ++k)
    std::cout << fmt::format(" {:.4g}", At(table.basis->edges, k));
  std::cout << (table.start ? "; spectral start\n" : "; no spectral start\n");
}

// Beside each number its difference to the base solver's, where there is one.
void PrintScalars(const Tensor& learned, const std::optional<Tensor>& theory) {
  if (theory) std::cout << " (in parentheses: minus dpmpp-3m on the same times)";
  std::cout << '\n';
  for (int64_t n = 0; n < learned.size(0); ++n) {
    std::cout << fmt::format("  {:>4}", n);
    for (int64_t j = 0; j <= n; ++j) {
      const double value = learned[n][j].item<double>();
      std::cout << fmt::format("  {:>10.5f}", value);
      if (theory) std::cout << fmt::format(" ({:+.5f})", value - (*theory)[n][j].item<double>());
    }
    std::cout << '\n';
  }
}

// Few of the numbers: bands vary smoothly, and the first component has most of the images' energy.
void PrintBands(const Tensor& learned) {
  const int64_t bands = learned.size(3);
  std::cout << fmt::format(", of component 0 in bands 0 / {} / {}\n", bands / 2, bands - 1);
  for (int64_t n = 0; n < learned.size(0); ++n) {
    std::cout << fmt::format("  {:>4}", n);
    for (int64_t j = 0; j <= n; ++j) {
      const Tensor values = learned[n][j][0];
      std::cout << fmt::format("  {:>9.5f} / {:.5f} / {:.5f}", At(values, 0), At(values, bands / 2),
                               At(values, -1));
    }
    std::cout << '\n';
  }
}

void PrintCoefficients(const StepTable& table, const NoiseSchedule& schedule) {
  std::cout << "  A, on states";
  if (table.spectral()) {
    PrintBands(table.a);
    std::cout << "  B, on data predictions";
    PrintBands(table.b);
    return;
  }
  const std::optional<StepTable> theory = TheoryOn(table, schedule);
  const std::optional<Tensor> none;
  PrintScalars(table.a, theory ? std::optional(theory->a) : none);
  std::cout << "  B, on data predictions";
  PrintScalars(table.b, theory ? std::optional(theory->b) : none);
}

void PrintProvenance(const Json& provenance) {
  for (const char* key : {"iterations", "training_samples", "held_out_samples", "held_out_distance",
                          "held_out_distance_dpmpp_3m", "start_time", "searched", "network_evaluations",
                          "teacher_evaluations", "seconds", "teacher", "adversary", "loss", "imported"}) {
    if (provenance.contains(key)) std::cout << fmt::format("  {}: {}\n", key, ShortJson(provenance[key]));
  }
}

// ---- Lint ----

// One of the values of a row.
using ValueOfRow = std::function<LintValue(const LintRow& row)>;

// The largest of the rows, as "VALUE in row N (component C, band K)".
std::string LargestRow(const LintReport& report, const ValueOfRow& value_of, const char* format) {
  size_t row = 0;
  const auto magnitude = [&](size_t n) { return std::abs(value_of(report.rows[n]).value); };
  for (size_t n = 1; n < report.rows.size(); ++n) {
    if (!(magnitude(n) <= magnitude(row))) row = n;
  }
  const LintValue at = value_of(report.rows[row]);
  return fmt::format(fmt::runtime(format), at.value) + fmt::format(" in row {}", row) + LintPlace(report, at);
}

std::string Percent(const LintReport& report, const LintValue& at) {
  return fmt::format("{:+.2f} %", 100 * at.value) + LintPlace(report, at);
}

void PrintFindings(const LintReport& report) {
  for (const LintFinding& finding : report.findings) {
    const bool note = finding.verdict == LintVerdict::kSafe;
    std::cout << fmt::format("    {}: {}\n", note ? "note" : LintVerdictName(finding.verdict), finding.text);
  }
}

void PrintLint(const LintReport& report) {
  std::cout << fmt::format("  lint: {}\n", LintVerdictName(report.verdict));
  std::cout << "    constant image: brightness of the sample " << Percent(report, report.brightness)
            << ", of a state up to "
            << LargestRow(
                   report, [](const LintRow& row) { return row.brightness; }, "{:+.4f}")
            << '\n';
  if (report.spectral) {
    std::cout << "    other bands: contrast of the sample " << Percent(report, report.contrast)
              << ", of a state up to "
              << LargestRow(
                     report, [](const LintRow& row) { return row.contrast; }, "{:+.4f}")
              << '\n';
  }
  std::cout << "    coefficients: |a| up to "
            << LargestRow(
                   report, [](const LintRow& row) { return row.max_a; }, "{:.4g}")
            << ", |b| up to "
            << LargestRow(
                   report, [](const LintRow& row) { return row.max_b; }, "{:.4g}")
            << ", cancellation of b up to "
            << LargestRow(
                   report, [](const LintRow& row) { return row.cancellation; }, "{:.4g}")
            << '\n';
  std::cout << fmt::format(
      "    noise: errors of predictions arrive {:.3g} times{}{}; noise of x_0 {:.2g} times{}\n",
      report.noise_gain.value, LintPlace(report, report.noise_gain),
      report.reference_noise_gain ? fmt::format(", dpmpp-3m {:.3g}", *report.reference_noise_gain) : "",
      report.start_noise.value, LintPlace(report, report.start_noise));
  std::cout << fmt::format("    float16: at most {:.2g} % of the sample{}\n", 100 * report.half_error.value,
                           LintPlace(report, report.half_error));
  if (!std::isnan(report.timestep_shift)) {
    std::cout << fmt::format(
        "    whole timesteps of {}: up to {:.2g} % of a step in lambda, at evaluation {}\n", report.timesteps,
        100 * report.timestep_shift, report.timestep_row);
  }
  PrintFindings(report);
}

Json ToJson(const LintReport& report, const LintValue& v) {
  if (!report.spectral) return v.value;
  return {{"value", v.value}, {"component", v.component}, {"band", v.band}};
}

Json ToJson(const LintReport& report) {
  Json rows = Json::array(), findings = Json::array();
  for (const LintRow& row : report.rows) {
    rows.push_back({{"brightness", ToJson(report, row.brightness)},
                    {"max_a", ToJson(report, row.max_a)},
                    {"max_b", ToJson(report, row.max_b)},
                    {"cancellation", ToJson(report, row.cancellation)},
                    {"timestep_shift", row.timestep_shift}});
    if (report.spectral) rows.back()["contrast"] = ToJson(report, row.contrast);
  }
  for (const LintFinding& finding : report.findings) {
    findings.push_back({{"verdict", LintVerdictName(finding.verdict)}, {"text", finding.text}});
  }
  Json json = {
      {"verdict", LintVerdictName(report.verdict)},
      {"brightness", ToJson(report, report.brightness)},
      {"noise_gain", ToJson(report, report.noise_gain)},
      {"noise_gain_dpmpp_3m", report.reference_noise_gain ? Json(*report.reference_noise_gain) : Json()},
      {"start_noise", ToJson(report, report.start_noise)},
      {"half_error", ToJson(report, report.half_error)},
      {"timesteps", report.timesteps},
      {"timestep_shift", report.timestep_shift},
      {"rows", rows},
      {"findings", findings}};
  if (report.spectral) json["contrast"] = ToJson(report, report.contrast);
  return json;
}

}  // namespace

void PrintSolver(const SolverFile& file) {
  std::cout << fmt::format("solver file {}\n  model {} ({}), guidance {}, schedule {}\n", file.name,
                           Printable(file.model), Printable(file.model_sha256.substr(0, 12)),
                           file.GuidanceText(), ShortJson(file.schedule->ToJson()));
  for (const auto& [nfe, entry] : file.entries) {
    std::cout << fmt::format("\n{} with {} network evaluations, t_eps {}\n", Printable(entry.table.method),
                             nfe, entry.t_eps);
    PrintTimes(entry.table, *file.schedule);
    PrintBasis(entry.table);
    PrintCoefficients(entry.table, *file.schedule);
    PrintLint(LintTable(entry.table, *file.schedule));
    PrintProvenance(entry.provenance);
  }
}

nlohmann::json SolverLintJson(const SolverFile& file) {
  Json tables = Json::array();
  for (const auto& [nfe, entry] : file.entries) {
    tables.push_back({{"nfe", nfe},
                      {"method", entry.table.method},
                      {"lint", ToJson(LintTable(entry.table, *file.schedule))}});
  }
  return {{"file", file.name}, {"model", file.model}, {"tables", tables}};
}

}  // namespace gas::cli
