#include <iostream>

#include <fmt/format.h>

#include "gas/cli/run.h"
#include "gas/core/error.h"
#include "gas/eval/approximation.h"
#include "gas/export/export_solver.h"

namespace gas::cli {
namespace {

std::vector<OptionRow> ExportRows() {
  return {
      {.key = "export.solver",
       .flag = "--solver",
       .type = OptType::kText,
       .def = "",
       .help = "solver file to export",
       .value = "FILE"},
      {.key = "export.nfe",
       .flag = "--nfe",
       .type = OptType::kInt,
       .def = "",
       .min = 1,
       .max = 10000,
       .help = "network evaluations of the table to take [all tables of the file]"},
      {.key = "export.to",
       .flag = "--to",
       .type = OptType::kChoice,
       .def = DefaultOf(kExportTargetNames.NameOf(ExportTarget::kJson)),
       .help = "where people sample",
       .choices = kExportTargetNames.choices()},
      {.key = "export.out",
       .flag = "--out",
       .type = OptType::kText,
       .def = "",
       .help = "folder to write, new or empty",
       .value = "FOLDER"},
      {.key = "export.approximate",
       .flag = "--approximate",
       .type = OptType::kFlag,
       .def = "false",
       .help = "write what the target can express, say what is lost, and measure it on the model emoji",
       .only = "with --to sd.cpp"},
  };
}

struct ExportSettings {
  std::string solver, out;
  ExportOptions options;
};

ExportSettings ReadExportSettings(const Options& o) {
  ExportSettings s{.solver = o.Text("export.solver"), .out = o.Text("export.out")};
  GAS_CHECK(!s.solver.empty() && !s.out.empty(), Errc::kBadOption,
            "gas export: it needs --solver and --out, for example gas export --solver fit/solver.gas.json "
            "--to diffusers --out scheduler");
  s.options.nfe = o.OptionalInt("export.nfe");
  s.options.target = o.Enum("export.to", kExportTargetNames);
  if (!RunsTables(s.options.target)) s.options.approximate = o.Flag("export.approximate");
  return s;
}

// On a model that is always there, so that the figure says what the levels alone do to samples, not how good
// those of the solver's own model are.
constexpr const char* kMeasuredOn = "emoji";
constexpr int64_t kMeasuredSamples = 16;

void TellApproximations(const SolverFile& file) {
  const Model model = OpenModel(kMeasuredOn);
  for (const auto& [nfe, entry] : file.entries) {
    const auto measured = MeasureApproximation(entry.table, file.schedule, model, kMeasuredSamples);
    std::cerr << (measured ? fmt::format("gas export: on the model {}, samples of {} differ from the table's "
                                         "by {:.2g} (root mean square; they spread by {:.2g})\n",
                                         kMeasuredOn, nfe, measured->difference, measured->spread)
                           : fmt::format("gas export: not measured of {}: no model that comes with this "
                                         "program has states of its bands' shape\n",
                                         nfe));
  }
}

void RunExport(const ExportSettings& s) {
  const SolverFile file = ReadSolverFile(s.solver);
  const ExportedSolver solver = ExportSolver(file, s.options);
  WriteExport(s.out, solver);
  for (const std::string& phrase : solver.lost) std::cerr << "gas export: lost " << phrase << '\n';
  if (!solver.lost.empty()) TellApproximations(TablesToExport(file, s.options.nfe));
  std::cout << fmt::format("{}: {} files for {}, README.md says how to use them\n", s.out,
                           solver.files.size(), kExportTargetNames.NameOf(s.options.target));
}

}  // namespace

Verb ExportVerb() {
  return {"export", "Writes a solver as a folder for the program in which you sample.",
          "gas export --solver fit/solver.gas.json --to diffusers --out scheduler", ExportRows(),
          [](const Options& o) -> Work { return [s = ReadExportSettings(o)] { RunExport(s); }; }};
}

}  // namespace gas::cli
