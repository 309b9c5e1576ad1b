#include <algorithm>
#include <iostream>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "gas/cli/inspect_solver.h"
#include "gas/cli/model_options.h"
#include "gas/cli/run.h"
#include "gas/cli/text.h"
#include "gas/core/error.h"
#include "gas/core/shown.h"
#include "gas/io/json.h"
#include "gas/io/torch_tensors.h"
#include "gas/memory/run_memory.h"
#include "gas/models/embedded.h"
#include "gas/models/families.h"
#include "gas/teacher/teacher.h"

namespace gas::cli {
namespace {

constexpr size_t kLongestText = 200;  // of a text that people wrote

void InspectSolver(const std::string& path, bool json) {
  const SolverFile file = ReadSolverFile(path);
  if (json) {
    std::cout << SolverLintJson(file).dump(1) << '\n';
  } else {
    PrintSolver(file);
  }
}

void PrintTensors(const TensorFile& file) {
  for (const auto& [name, info] : file.tensors()) {
    std::cout << fmt::format("  {} {} [{}]\n", Printable(name), c10::toString(info.dtype),
                             fmt::join(info.shape, ", "));
  }
}

void PrintMetadata(const std::string& key, const std::string& value) {
  const std::optional<nlohmann::json> json = ParseJsonOrNone(value);
  std::cout << fmt::format("  {}: {}\n", Printable(key),
                           json ? ShortJson(*json) : Printable(value, kLongestText));
}

// A file of tensors that is no model: a feature network, teacher data, anyone's weights. Throws
// Error(kBadFile) for a file of anything else, listing what was looked for.
void InspectWeights(const ModelFiles& files) {
  std::shared_ptr<const TensorFile> tensors = files.tensors();
  if (files.torch()) tensors = std::make_shared<TorchTensors>(files.torch());
  if (tensors == nullptr) FamilyOf(files);
  std::cout << fmt::format("{} {}: {} tensors, of no model that is known\n",
                           files.torch() ? "PyTorch's file" : "safetensors", files.name(),
                           tensors->tensors().size());
  for (const auto& [key, value] : tensors->metadata()) PrintMetadata(key, value);
  PrintTensors(*tensors);
}

std::string Shape(const std::vector<int64_t>& shape) { return fmt::format("{}", fmt::join(shape, "x")); }

// What one image takes, of a network that can be evaluated as it is.
std::string MemoryOf(const Model& model) {
  try {
    const ModelMemory memory = MeasureModel(model, Passes::kBoth, /*largest_batch=*/1);
    std::string text = MemoryText(SamplingBytes(memory, {})) + " to sample one image";
    if (model.has_gradient) {
      text += fmt::format(
          ", {} for a training step of one image that recomputes activations, and {} for each "
          "evaluation that keeps them beside the first",
          MemoryText(TrainingBytes(memory, {}, /*part=*/1, /*kept=*/0)),
          MemoryText(memory.network.kept.Of(1, memory.device)));
    }
    return text;
  } catch (const std::exception& error) {
    return fmt::format("not known, the network cannot be evaluated: {}", error.what());
  }
}

// What of a network that others wrote was examined. Throws Error(kBadFile) if something is wrong.
void PrintChecks(const Model& model, const ModelFiles& files) {
  const ModelFamily& family = FamilyOf(files);
  if (family.check == nullptr) return;
  const ConformanceRecord record = family.check(model);
  int64_t wrong = 0;
  for (const ConformanceCheck& check : record) {
    std::cout << fmt::format("  {}: {}: {}\n", check.passed ? "ok" : "WRONG", check.name, check.found);
    wrong += check.passed ? 0 : 1;
  }
  GAS_CHECK(wrong == 0, Errc::kBadFile, files.name(), ": ", wrong, " of ", record.size(), " checks failed");
}

void InspectModel(const std::string& name, const std::string& config, const ModelFiles& files) {
  const Model model = OpenModel(name, {.config = config});
  std::cout << fmt::format("model {}: family {}, states {}, {} parameters, {} classes\n",
                           Printable(model.name), model.family, Shape(model.shape), model.parameters,
                           model.classes)
            << fmt::format("  predicts: {}\n  schedule: {}\n  SHA-256: {}\n",
                           kPredictionTypeNames.NameOf(model.denoiser->prediction_type()),
                           ShortJson(model.schedule->ToJson()), model.sha256);
  if (!model.unused.empty()) std::cout << fmt::format("  not used: {}\n", fmt::join(model.unused, ", "));
  if (!model.features.empty()) std::cout << "  feature network: " << model.features << '\n';
  for (const auto& [key, value] : model.metadata) PrintMetadata(key, value);
  std::cout << "  peak memory: " << MemoryOf(model) << '\n';
  if (files.tensors() != nullptr) PrintTensors(*files.tensors());
  PrintChecks(model, files);
}

// Whether some family knows the files. Says nothing about whether they are whole.
bool IsModel(const ModelFiles& files) {
  return std::ranges::any_of(ModelFamilies(),
                             [&](const ModelFamily& family) { return family.recognises(files); });
}

void InspectTeacher(const std::string& path) {
  const TeacherData data(path);
  std::cout << fmt::format("teacher data {}: {} samples, seeds {}\n", path, data.size(),
                           FormatSeeds(data.seeds()));
  const nlohmann::json spec = data.spec().ToJson();  // items() refers to it
  for (const auto& [key, value] : spec.items()) std::cout << fmt::format("  {}: {}\n", key, ShortJson(value));
}

void RunInspect(const std::string& name, const std::string& config, bool json) {
  GAS_CHECK(!name.empty(), Errc::kBadOption,
            "gas inspect: no file named, for example gas inspect runs/gs/solver.gas.json");
  const std::filesystem::path path = name;
  const bool folder = std::filesystem::is_directory(path) && !std::filesystem::exists(path / kModelIndex);
  std::optional<ModelFiles> files;
  if (!folder) files.emplace(FindEmbeddedModel(name) ? EmbeddedFile(name).string() : name);
  const bool model = files && IsModel(*files);
  const bool solver = files && !model && files->tensors() == nullptr && name.ends_with(".json");
  GAS_CHECK(!json || solver, Errc::kBadOption, "gas inspect --json: ", name,
            " is no solver file, its name must end in .json");
  GAS_CHECK(config.empty() || model, Errc::kBadOption, "model.config = ", config, ", must not be given for ",
            name, ", which is no model");
  if (folder) {
    InspectTeacher(name);
  } else if (model) {
    InspectModel(name, config, *files);
  } else if (solver) {
    InspectSolver(name, json);
  } else {
    InspectWeights(*files);
  }
}

Work PlanInspect(const Options& o) {
  return [name = o.Text("inspect.file"), config = o.Text("model.config"), json = o.Flag("inspect.json")] {
    RunInspect(name, config, json);
  };
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
           ConfigRow(),
           {.key = "inspect.json",
            .flag = "--json",
            .type = OptType::kFlag,
            .def = "false",
            .help = "lint of a solver file's tables as JSON"}},
          PlanInspect};
}

}  // namespace gas::cli
