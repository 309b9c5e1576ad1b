#include "gas/cli/dtype.h"

#include <iostream>

#include "gas/eval/dtype_choice.h"

namespace gas::cli {
namespace {

// The same model in bfloat16.
Model OpenInBfloat16(const ModelRequest& request, const Model& model) {
  ModelRequest other = request;
  other.options.dtype = torch::kBFloat16;
  other.guidance = model.guidance;
  other.t_eps = model.t_eps;
  return other.Open();
}

}  // namespace

Model InChosenDtype(const char* verb, const ModelRequest& request, Model model,
                    const std::vector<ResolvedSolver>& solvers, int64_t batch, const Tensor& clean) {
  if (request.dtype != Dtype::kAuto) {
    WarnOfSlowDtype(verb, request.options.dtype, model, batch);
    return model;
  }
  std::vector<SolverInUse> in_use;
  for (const ResolvedSolver& solver : solvers) {
    in_use.push_back({solver.label, solver.table, RecordedError(solver.provenance), clean});
  }
  const auto open = [&] { return OpenInBfloat16(request, model); };
  DtypeChoice choice = ChooseDtype(model, open, in_use, batch);
  std::cerr << "gas " << verb << ": " << choice.text << '\n';
  return choice.bfloat16 ? *std::move(choice.bfloat16) : model;
}

void WarnOfSlowDtype(const char* verb, torch::Dtype dtype, const Model& model, int64_t batch) {
  if (dtype == torch::kFloat32) return;
  const std::optional<std::string> slow = SlowDtype(model, dtype, batch);
  if (slow) std::cerr << "gas " << verb << ": " << *slow << '\n';
}

}  // namespace gas::cli
