#include "gas/cli/common.h"

#include <thread>

#include <torch/cuda.h>

#include "gas/cli/machine.h"
#include "gas/core/error.h"
#include "gas/io/file.h"
#include "gas/solver/registry.h"
#include "gas/student/solver_file.h"

namespace gas::cli {

void UseThreads(const Options& options) {
  PrepareMachine();
  const int64_t asked = options.Int("run.threads");
  const int64_t count = asked > 0 ? asked : std::max(1u, std::thread::hardware_concurrency());
  SetThreads(static_cast<int>(count));
}

torch::Device DeviceOf(const Options& options) {
  const std::string& name = options.Text("run.device");
  if (name == "cpu") return torch::kCPU;
  GAS_CHECK(name.starts_with("cuda"), Errc::kBadOption, "run.device = ", name,
            ", must be cpu, cuda or cuda:N");
  GAS_CHECK(torch::cuda::is_available(), Errc::kUnavailable, "run.device = ", name,
            ": this machine or this build of LibTorch has no CUDA device");
  try {
    return torch::Device(name);
  } catch (const c10::Error&) {
    Fail(Errc::kBadOption, "run.device = ", name, ", must be cpu, cuda or cuda:N");
  }
}

bool Bfloat16Of(const Options& options) {
  const std::string& name = options.Text("run.dtype");
  GAS_CHECK(name == "float32" || name == "bfloat16", Errc::kBadOption, "run.dtype = ", name,
            ", must be float32 or bfloat16");
  return name == "bfloat16";
}

Model OpenModelFrom(const Options& options, double t_eps) {
  return OpenModel(options.Text("model.name"), {.t_eps = t_eps,
                                                .guidance = options.Real("model.guidance"),
                                                .bfloat16 = Bfloat16Of(options),
                                                .device = DeviceOf(options)});
}

Model OpenModelOf(const TeacherData& data, const std::string& folder, const Options& options) {
  const TeacherSpec& spec = data.spec();
  Model model = OpenModel(options.Text("model.name"), {.t_eps = spec.t_eps,
                                                       .guidance = spec.guidance,
                                                       .bfloat16 = Bfloat16Of(options),
                                                       .device = DeviceOf(options)});
  GAS_CHECK(spec.model_sha256 == model.sha256, Errc::kBadFile, folder, ": made with model ", spec.model,
            " of SHA-256 ", spec.model_sha256, ", not with ", model.name, " of ", model.sha256);
  return model;
}

void CheckTrainable(const Model& model) {
  GAS_CHECK(model.has_gradient, Errc::kBadOption, "the network of ", model.name,
            " runs in another process and has no gradient; gas fit needs none");
}

bool IsSolverFile(const std::string& solver) {
  return solver.find('/') != solver.npos || solver.ends_with(".json");
}

ResolvedSolver ResolveSolver(const std::string& solver, const std::string& grid, int64_t nfe,
                             const Model& model, double t_eps) {
  if (!IsSolverFile(solver)) {
    return {MakeSolverTable(solver, *model.schedule, grid, nfe, t_eps),
            solver + "-" + std::to_string(nfe),
            t_eps,
            {}};
  }
  const SolverFile file = ReadSolverFile(solver);
  GAS_CHECK(file.model_sha256.empty() || file.model_sha256 == model.sha256, Errc::kBadFile, solver,
            ": made for model ", file.model, " with SHA-256 ", file.model_sha256, ", not for ", model.name,
            " with ", model.sha256);
  GAS_CHECK(file.prediction == model.denoiser->prediction_type(), Errc::kBadFile, solver, ": made for ",
            kPredictionTypeNames.NameOf(file.prediction), " prediction, the model predicts ",
            kPredictionTypeNames.NameOf(model.denoiser->prediction_type()));
  const SolverEntry& entry = file.at(nfe);
  return {entry.table, entry.table.method + "-" + std::to_string(nfe), entry.t_eps, entry.provenance};
}

void PrepareRunFolder(const std::string& folder, const Options& options) {
  MakeDirectory(folder);
  WriteFile(std::filesystem::path(folder) / "options.json", options.ToJson().dump(1) + "\n");
}

}  // namespace gas::cli
