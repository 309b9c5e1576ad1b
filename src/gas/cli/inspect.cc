#include <iostream>

#include <fmt/format.h>

#include "gas/cli/inspect_solver.h"
#include "gas/cli/run.h"
#include "gas/core/error.h"
#include "gas/io/safetensors.h"
#include "gas/models/mixture.h"
#include "gas/teacher/teacher.h"

namespace gas::cli {
namespace {

void InspectSolver(const std::string& path, bool json) {
  const SolverFile file = ReadSolverFile(path);
  if (json) {
    std::cout << SolverLintJson(file).dump(1) << '\n';
  } else {
    PrintSolver(file);
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

void InspectMixture(const std::string& path) {
  const Model model = OpenModel(path);
  std::cout << fmt::format(
      "Gaussian mixture {}: shape {}x{}x{}, exact data prediction, SHA-256 {}\n  schedule: {}\n", path,
      model.shape[0], model.shape[1], model.shape[2], model.sha256, model.schedule->ToJson().dump());
}

void InspectTeacher(const std::string& path) {
  const TeacherData data(path);
  std::cout << fmt::format("teacher data {}: {} samples, seeds {}\n", path, data.size(),
                           FormatSeeds(data.seeds()));
  const nlohmann::json spec = data.spec().ToJson();  // items() refers to it
  for (const auto& [key, value] : spec.items()) std::cout << fmt::format("  {}: {}\n", key, value.dump());
}

void RunInspect(const std::string& name, bool json) {
  GAS_CHECK(!name.empty(), Errc::kBadOption,
            "gas inspect: no file named, for example gas inspect runs/gs/solver.gas.json");
  const auto names = EmbeddedModels();
  const bool embedded = std::find(names.begin(), names.end(), name) != names.end();
  const std::string path = embedded ? EmbeddedFile(name).string() : name;
  const bool mixture = IsMixtureFile(path), solver = !mixture && path.ends_with(".json");
  GAS_CHECK(!json || solver, Errc::kBadOption, "gas inspect --json: ", name,
            " is no solver file, its name must end in .json");
  if (std::filesystem::is_directory(path)) {
    InspectTeacher(path);
  } else if (mixture) {
    InspectMixture(path);
  } else if (solver) {
    InspectSolver(path, json);
  } else {
    InspectWeights(path);
  }
}

Work PlanInspect(const Options& o) {
  return [name = o.Text("inspect.file"), json = o.Flag("inspect.json")] { RunInspect(name, json); };
}

}  // namespace

Verb InspectVerb() {
  return {"inspect",
          "Prints a solver file, a model or a teacher folder for people.",
          "gas inspect runs/gs/solver.gas.json",
          {{.key = "inspect.file",
            .flag = "file",
            .type = OptType::kText,
            .def = "",
            .help = "solver file, model name or file, or folder of teacher data",
            .value = "FILE"},
           {.key = "inspect.json",
            .flag = "--json",
            .type = OptType::kFlag,
            .def = "false",
            .help = "lint of a solver file's tables as JSON"}},
          PlanInspect};
}

}  // namespace gas::cli
