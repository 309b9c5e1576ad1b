#include "gas/importers/gas_student.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "gas/core/error.h"
#include "gas/importers/file_numbers.h"
#include "gas/io/pickle_fields.h"
#include "gas/io/torch_tensors.h"
#include "gas/student/student.h"

namespace gas {
namespace {

// The list of parameters that is read.
std::vector<std::string> PlaceOfParameters(bool raw) {
  if (raw) return {"model"};
  return {"ema", "shadow_params"};
}

// The parameters in their order, float64.
std::vector<Tensor> ParametersIn(const std::shared_ptr<const TorchFile>& file, bool raw) {
  const TorchTensors tensors(file, PlaceOfParameters(raw));
  std::vector<Tensor> parameters;
  for (size_t i = 0; i < tensors.tensors().size(); ++i) {
    parameters.push_back(FiniteTensor(tensors, std::to_string(i)));
  }
  return parameters;
}

// "10 parameters of shapes [3], [4], ...".
std::string ShapesOf(const std::vector<Tensor>& parameters) {
  constexpr size_t kMostShown = 24;
  std::vector<std::string> shapes;
  for (const Tensor& parameter : parameters) {
    if (shapes.size() == kMostShown) break;
    shapes.push_back(fmt::format("[{}]", fmt::join(parameter.sizes().vec(), ",")));
  }
  return fmt::format("{} parameters of shapes {}{}", parameters.size(), fmt::join(shapes, ", "),
                     parameters.size() > kMostShown ? ", ..." : "");
}

struct StudentSize {
  int64_t steps = 0, order = 0;
};

StudentSize SizeOf(const std::string& file, const std::vector<Tensor>& parameters) {
  const auto count = static_cast<int64_t>(parameters.size());
  const int64_t steps = count > 1 && parameters[1].dim() == 1 ? parameters[1].size(0) : 0;
  bool fits =
      count >= 4 && count % 2 == 0 && steps >= 2 && steps <= kMostImportedSteps && (count - 2) / 2 <= steps;
  for (int64_t i = 0; fits && i < count; ++i) {
    fits = parameters[i].sizes() == at::IntArrayRef({i == 0 ? steps - 1 : steps});
  }
  GAS_CHECK(fits, Errc::kBadFile, file, ": ", ShapesOf(parameters),
            ", must be [N-1] and then [N] for xi, c_1, a_1, ..., c_K, a_K, of N in [2, ", kMostImportedSteps,
            "] evaluations and an order K of at most N");
  return {steps, (count - 2) / 2};
}

void CheckAsked(const std::string& file, const char* what, std::optional<int64_t> asked, int64_t has,
                const std::vector<Tensor>& parameters) {
  GAS_CHECK(asked.value_or(has) == has, Errc::kBadOption, what, " = ", *asked, ": ", file, " has ",
            ShapesOf(parameters), ", so ", what, " must be ", has);
}

// Entries i-1 of the rows belong to c_i and a_i.
std::map<std::string, Tensor> Named(const std::vector<Tensor>& parameters) {
  std::vector<Tensor> a, c;
  for (size_t i = 2; i < parameters.size(); i += 2) {
    c.push_back(parameters[i]);
    a.push_back(parameters[i + 1]);
  }
  return {{"theta", parameters[0]}, {"xi", parameters[1]}, {"a", torch::stack(a)}, {"c", torch::stack(c)}};
}

int64_t IterationOf(const TorchFile& file) {
  const PickleRef step = ValueOf(*file.root().If<PickleDict>(), "step");
  return IntegerOf(file.name(), *step, "the entry step");
}

}  // namespace

bool IsGasStudent(const TorchFile& file) {
  const auto* dict = file.root().If<PickleDict>();
  return dict != nullptr && ValueOf(*dict, "step") != nullptr && ValueOf(*dict, "model") != nullptr &&
         file.Find(PlaceOfParameters(false)) != nullptr;
}

ImportedSolver ReadGasStudent(const std::shared_ptr<const TorchFile>& file, const ImportRequest& request) {
  const std::vector<Tensor> parameters = ParametersIn(file, request.raw);
  const StudentSize size = SizeOf(file->name(), parameters);
  CheckAsked(file->name(), "import.nfe", request.nfe, size.steps, parameters);
  CheckAsked(file->name(), "import.order", request.order, size.order, parameters);
  GAS_CHECK(request.t_eps, Errc::kBadOption, "solver.t_eps is missing: ", file->name(),
            " does not say where its sampling ends, the program that wrote it has it as t_eps");
  const SolverTarget target = request.target(request.t_eps, request.guidance);
  GAS_CHECK(target.schedule->t_start() == 1, Errc::kBadOption, file->name(),
            ": its times run from 1, those of the schedule from ", target.schedule->t_start());
  Student student({.steps = size.steps, .order = size.order, .t_eps = target.t_eps}, target.schedule);
  student.SetParameters(Named(parameters));
  torch::NoGradGuard no_grad;
  SolverEntry entry{.table = student.Table().Detached(), .t_eps = target.t_eps};
  entry.student = student.Record(Named(parameters));
  entry.provenance = {{"iterations", IterationOf(*file)},
                      {"imported", {{"parameters", request.raw ? "model" : "ema"}}}};
  return {target, std::move(entry)};
}

}  // namespace gas
