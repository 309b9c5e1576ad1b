#include <iostream>

#include <fmt/format.h>

#include "gas/cli/inspect_solver.h"
#include "gas/cli/run.h"
#include "gas/core/error.h"
#include "gas/io/safetensors.h"
#include "gas/models/embedded.h"
#include "gas/models/families.h"
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

std::string Shape(const std::vector<int64_t>& shape) { return fmt::format("{}", fmt::join(shape, "x")); }

void InspectModel(const std::string& name) {
  const Model model = OpenModel(name);
  std::cout << fmt::format("model {}: family {}, states {}, {} parameters, {} classes\n", model.name,
                           model.family, Shape(model.shape), model.parameters, model.classes)
            << fmt::format("  predicts: {}\n  schedule: {}\n  SHA-256: {}\n",
                           kPredictionTypeNames.NameOf(model.denoiser->prediction_type()),
                           model.schedule->ToJson().dump(), model.sha256);
  if (!model.features.empty()) std::cout << "  feature network: " << model.features << '\n';
  for (const auto& [key, value] : model.metadata) std::cout << fmt::format("  {}: {}\n", key, value);
}

// Whether some family knows the file. Says nothing about whether it is whole.
bool IsModel(const std::string& name) {
  const ModelFiles files(name);
  return std::ranges::any_of(ModelFamilies(),
                             [&](const ModelFamily& family) { return family.recognises(files); });
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
  const auto names = EmbeddedModelNames();
  const bool embedded = std::ranges::find(names, name) != names.end();
  const bool folder = std::filesystem::is_directory(name);
  const bool model = embedded || (!folder && IsModel(name));
  const bool solver = !model && name.ends_with(".json");
  GAS_CHECK(!json || solver, Errc::kBadOption, "gas inspect --json: ", name,
            " is no solver file, its name must end in .json");
  if (folder) {
    InspectTeacher(name);
  } else if (model) {
    InspectModel(name);
  } else if (solver) {
    InspectSolver(name, json);
  } else {
    InspectWeights(name);
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
