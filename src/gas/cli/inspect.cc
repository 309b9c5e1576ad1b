#include <fmt/format.h>

#include <iostream>

#include "gas/cli/common.h"
#include "gas/cli/run.h"
#include "gas/core/error.h"
#include "gas/io/safetensors.h"
#include "gas/solver/dpm_multistep.h"
#include "gas/student/solver_file.h"
#include "gas/teacher/teacher.h"

namespace gas::cli {
namespace {

double At(const Tensor& t, int64_t i) { return t[i].item<double>(); }

// The base solver's table on this table's own times, to show what was learned.
StepTable TheoryOn(const StepTable& table, const NoiseSchedule& schedule) {
  return DpmMultistepTable({.order = std::min<int64_t>(3, table.nfe()), .lower_order_final = false}, schedule, table.t);
}

void PrintTimes(const StepTable& table, const NoiseSchedule& schedule) {
  std::cout << "  step            t       t seen     lambda        alpha        sigma\n";
  for (int64_t n = 0; n < table.nfe(); ++n) {
    std::cout << fmt::format("  {:>4} {:>12.6f} {:>12.6f} {:>10.4f} {:>12.6f} {:>12.6f}\n", n, At(table.t, n),
                             At(table.t_eval, n), schedule.HalfLogSnr(At(table.t, n)), At(table.alpha, n),
                             At(table.sigma, n));
  }
  std::cout << fmt::format("   end {:>12.6f} {:>23.4f}\n", At(table.t, -1), schedule.HalfLogSnr(At(table.t, -1)));
}

void PrintMatrix(const char* name, const Tensor& learned, const Tensor& theory) {
  std::cout << "  " << name << " (in parentheses: minus dpmpp-3m on the same times)\n";
  for (int64_t n = 0; n < learned.size(0); ++n) {
    std::cout << fmt::format("  {:>4}", n);
    for (int64_t j = 0; j <= n; ++j) {
      const double value = learned[n][j].item<double>();
      std::cout << fmt::format("  {:>10.5f} ({:+.5f})", value, value - theory[n][j].item<double>());
    }
    std::cout << '\n';
  }
}

void InspectSolver(const std::string& path) {
  const SolverFile file = ReadSolverFile(path);
  std::cout << fmt::format("solver file {}\n  model {} ({}), guidance {}, schedule {}\n", path, file.model,
                           file.model_sha256.substr(0, 12), file.guidance, file.schedule->ToJson().dump());
  for (const auto& [nfe, entry] : file.entries) {
    const StepTable& table = entry.table;
    std::cout << fmt::format("\n{} with {} network evaluations, t_eps {}\n", table.method, nfe, entry.t_eps);
    PrintTimes(table, *file.schedule);
    const StepTable theory = TheoryOn(table, *file.schedule);
    PrintMatrix("A, on states", table.a, theory.a);
    PrintMatrix("B, on data predictions", table.b, theory.b);
    for (const char* key : {"iterations", "training_samples", "held_out_samples", "held_out_distance"}) {
      if (entry.provenance.contains(key)) std::cout << fmt::format("  {}: {}\n", key, entry.provenance[key].dump());
    }
    if (entry.provenance.contains("teacher")) {
      std::cout << fmt::format("  teacher: {}\n", entry.provenance["teacher"].dump());
    }
  }
}

void InspectWeights(const std::string& path) {
  const Safetensors file = ReadSafetensors(path);
  int64_t numbers = 0;
  for (const auto& [name, tensor] : file.tensors) numbers += tensor.numel();
  std::cout << fmt::format("safetensors {}: {} tensors, {} numbers\n", path, file.tensors.size(), numbers);
  for (const auto& [key, value] : file.metadata) std::cout << fmt::format("  {}: {}\n", key, value);
  for (const auto& [name, tensor] : file.tensors) {
    std::cout << fmt::format("  {} {} [", name, c10::toString(tensor.scalar_type()));
    for (int64_t d = 0; d < tensor.dim(); ++d) std::cout << (d ? ", " : "") << tensor.size(d);
    std::cout << "]\n";
  }
}

void InspectTeacher(const std::string& path) {
  const TeacherData data(path);
  std::cout << fmt::format("teacher data {}: {} samples, seeds {}\n", path, data.size(), FormatSeeds(data.seeds()));
  const nlohmann::json spec = data.spec().ToJson();
  for (const auto& [key, value] : spec.items()) std::cout << fmt::format("  {}: {}\n", key, value.dump());
}

void RunInspect(const Options& o) {
  const std::string& path = o.Text("inspect.file");
  GAS_CHECK(!path.empty(), Errc::kBadOption, "gas inspect: no file named, for example gas inspect runs/gs/solver.gas.json");
  if (std::filesystem::is_directory(path)) {
    InspectTeacher(path);
  } else if (path.ends_with(".json")) {
    InspectSolver(path);
  } else {
    const auto names = EmbeddedModels();
    const bool embedded = std::find(names.begin(), names.end(), path) != names.end();
    InspectWeights(embedded ? EmbeddedFile(path).string() : path);
  }
}

}  // namespace

Verb InspectVerb() {
  return {"inspect",
          "Prints a solver file, a model or a teacher folder for people.",
          "gas inspect runs/gs/solver.gas.json",
          {{.key = "inspect.file", .flag = "file", .type = OptType::kText, .def = "",
            .help = "solver file, model name or file, or folder of teacher data"}},
          RunInspect};
}

}  // namespace gas::cli
