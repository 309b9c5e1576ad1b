#include "gas/export/export_solver.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "gas/core/error.h"
#include "gas/core/shown.h"
#include "gas/export/host_files.h"
#include "gas/export/sigma_list.h"
#include "gas/io/file.h"
#include "gas/io/json.h"

namespace gas {
namespace {

constexpr const char* kSolverFileName = "solver.gas.json";

// What a target is made of.
struct Host {
  ExportTarget target;
  bool runs_tables;
  bool any_schedule;                                       // or only those of discrete steps and flows
  std::vector<std::pair<const char*, const char*>> files;  // of hosts/, and their names in the folder
  const char* readme;
};

const std::vector<Host>& Hosts() {
  static const std::vector<Host> hosts = {
      {ExportTarget::kDiffusers,
       true,
       false,
       {{"python/gas_table.py", "gas_table.py"}, {"python/gas_diffusers.py", "gas_diffusers.py"}},
       "readme/diffusers.md"},
      {ExportTarget::kKDiffusion,
       true,
       true,
       {{"python/gas_table.py", "gas_table.py"}, {"python/gas_k_diffusion.py", "gas_k_diffusion.py"}},
       "readme/k-diffusion.md"},
      {ExportTarget::kComfyUi,
       true,
       false,
       {{"python/comfyui_init.py", "__init__.py"},
        {"python/gas_table.py", "gas_table.py"},
        {"python/gas_k_diffusion.py", "gas_k_diffusion.py"},
        {"python/gas_comfyui.py", "gas_comfyui.py"}},
       "readme/comfyui.md"},
      {ExportTarget::kSdCpp,
       false,
       false,
       {{"sd.cpp/gas_solver.patch", "gas_solver.patch"},
        {"c/gas_table.h", "gas_table.h"},
        {"c/gas_table.c", "gas_table.c"}},
       "readme/sd.cpp.md"},
      {ExportTarget::kC,
       true,
       true,
       {{"c/gas_table.h", "gas_table.h"}, {"c/gas_table.c", "gas_table.c"}, {"c/example.c", "example.c"}},
       "readme/c.md"},
      {ExportTarget::kJson, true, true, {}, "readme/json.md"}};
  return hosts;
}

const Host& HostOf(ExportTarget target) {
  for (const Host& host : Hosts()) {
    if (host.target == target) return host;
  }
  GAS_ASSERT(false);
}

std::string Name(const Host& host) { return std::string(kExportTargetNames.NameOf(host.target)); }

void CheckSchedule(const Host& host, const SolverFile& file) {
  const std::string kind = file.schedule->ToJson()["kind"];
  GAS_CHECK(host.any_schedule || kind == "discrete" || kind == "flow", Errc::kBadOption,
            "export.to = ", Name(host), ": ", file.name, " is for schedule ", kind,
            ", models there have discrete or flow");
}

// The line on top of a folder's README: what it holds.
std::string Heading(const SolverFile& file) {
  std::vector<std::string> tables;
  for (const auto& [nfe, entry] : file.entries)
    tables.push_back(fmt::format("{} ({})", nfe, Printable(entry.table.method)));
  return fmt::format("# A solver of gas\n\nFor {}, guidance {}. Network evaluations: {}.\n\n",
                     file.model.empty() ? "a model" : "model " + Printable(file.model), file.GuidanceText(),
                     fmt::join(tables, ", "));
}

std::string Listed(const std::vector<std::string>& phrases) {
  std::string list;
  for (const std::string& phrase : phrases) list += fmt::format("- {}\n", phrase);
  return list;
}

// For programs that take noise levels: a section for each table.
std::string SigmaSections(const SolverFile& file, ExportedSolver& made) {
  std::string text;
  for (const auto& [nfe, entry] : file.entries) {
    const SigmaList list = SigmaListOf(entry.table, *file.schedule);
    text += fmt::format("\n## {} evaluations\n\n    --steps {} --sampling-method euler --sigmas \"{:.7g}\"\n",
                        nfe, nfe, fmt::join(list.sigmas, ","));
    if (!list.lost.empty()) text += "\nThe solver file has, and this has not:\n\n" + Listed(list.lost);
    for (const std::string& phrase : list.lost) made.lost.push_back(fmt::format("of {}: {}", nfe, phrase));
  }
  return text;
}

// diffusers' form of a configuration, so that from_pretrained takes the folder.
std::string SchedulerConfig(const SolverFile& file) {
  const nlohmann::json solver = ParseJson(kSolverFileName, FormatSolverFile(file));
  return nlohmann::json{{"_class_name", "GasScheduler"}, {"solver", solver}}.dump(1) + "\n";
}

}  // namespace

SolverFile TablesToExport(const SolverFile& file, std::optional<int64_t> nfe) {
  SolverFile chosen = file;
  if (nfe) chosen.entries = {{*nfe, file.at(*nfe)}};
  return chosen;
}

bool RunsTables(ExportTarget target) { return HostOf(target).runs_tables; }

ExportedSolver ExportSolver(const SolverFile& file, const ExportOptions& options) {
  const Host& host = HostOf(options.target);
  CheckSchedule(host, file);
  const SolverFile chosen = TablesToExport(file, options.nfe);
  ExportedSolver made;
  for (const auto& [source, name] : host.files)
    made.files.push_back({name, std::string(HostFileText(source))});
  made.files.push_back({kSolverFileName, FormatSolverFile(chosen)});
  if (host.target == ExportTarget::kDiffusers)
    made.files.push_back({"scheduler_config.json", SchedulerConfig(chosen)});
  std::string readme = Heading(chosen) + std::string(HostFileText(host.readme));
  if (!host.runs_tables) readme += SigmaSections(chosen, made);
  made.files.push_back({"README.md", readme});
  GAS_CHECK(made.lost.empty() || options.approximate, Errc::kBadOption, "export.to = ", Name(host),
            ": noise levels do not have ", fmt::format("{}", fmt::join(made.lost, "; ")),
            "; --approximate writes them all the same");
  return made;
}

void WriteExport(const std::filesystem::path& folder, const ExportedSolver& solver) {
  MakeDirectory(folder);
  GAS_CHECK(std::filesystem::is_empty(folder), Errc::kBadOption, "export.out = ", folder.string(),
            ": has files, must be empty or new");
  for (const ExportedFile& file : solver.files) WriteFile(folder / file.name, file.text);
}

}  // namespace gas
