#include "gas/models/torchscript/module_denoiser.h"

#include <algorithm>

#include "gas/core/error.h"
#include "gas/core/rows.h"
#include "gas/models/batch_parallel.h"
#include "gas/models/class_labels.h"
#include "gas/models/no_gradient.h"
#include "gas/nn/product_dtype.h"

namespace gas {
namespace {

using Inputs = std::vector<std::pair<std::string, ModuleInput>>;

std::string NamesIn(const std::vector<ModuleArgument>& arguments) {
  std::string names;
  for (const ModuleArgument& argument : arguments) names += (names.empty() ? "" : ", ") + argument.name;
  return names;
}

// The card's, or the first arguments in their order.
Inputs InputsOf(const std::string& name, const std::vector<ModuleArgument>& arguments,
                const ModuleCard& card) {
  if (!card.inputs.empty()) return card.inputs;
  std::vector<ModuleInput> order = {ModuleInput::kState, ModuleInput::kTime};
  if (card.facts.classes > 0) order.push_back(ModuleInput::kLabels);
  GAS_CHECK(arguments.size() >= order.size(), Errc::kBadFile, name, ": its forward takes ", arguments.size(),
            " arguments (", NamesIn(arguments), "), must take ", order.size(), " or more");
  Inputs inputs;
  for (size_t i = 0; i < order.size(); ++i) inputs.emplace_back(arguments[i].name, order[i]);
  return inputs;
}

void CheckInputs(const std::string& name, const std::vector<ModuleArgument>& arguments,
                 const Inputs& inputs) {
  const auto given = [&](const std::string& argument) {
    return std::any_of(inputs.begin(), inputs.end(),
                       [&](const auto& input) { return input.first == argument; });
  };
  for (const auto& input : inputs) {
    const bool known = std::any_of(arguments.begin(), arguments.end(),
                                   [&](const ModuleArgument& a) { return a.name == input.first; });
    GAS_CHECK(known, Errc::kBadFile, name, ": the card gives ", kModuleInputNames.NameOf(input.second),
              " to ", input.first, ", and its forward takes ", NamesIn(arguments));
  }
  for (const ModuleArgument& argument : arguments) {
    GAS_CHECK(argument.has_default || given(argument.name), Errc::kBadFile, name, ": its forward takes ",
              argument.name, ", which the card's \"inputs\" does not name");
  }
}

}  // namespace

ModuleDenoiser::ModuleDenoiser(std::string name, std::shared_ptr<const ExportedModule> module,
                               ModuleCard card, torch::Dtype dtype)
    : name_(std::move(name)),
      module_(std::move(module)),
      card_(std::move(card)),
      inputs_(InputsOf(name_, module_->arguments(), card_)),
      dtype_(dtype) {
  CheckInputs(name_, module_->arguments(), inputs_);
}

Tensor ModuleDenoiser::TimeOf(const NoiseLevel& at) const {
  const auto told = [&]() -> Tensor {
    switch (card_.time) {
      case TimeConvention::kTime: return at.t;
      case TimeConvention::kReversed: return 1 - at.t;
      case TimeConvention::kTimestep: {
        const auto timesteps = static_cast<double>(*card_.facts.schedule->timesteps());
        return at.t * timesteps - 1;
      }
      case TimeConvention::kSigma: return at.sigma / at.alpha;
      case TimeConvention::kHalfLogSnr: return (at.alpha / at.sigma).log();
    }
    GAS_ASSERT(false);
  };
  return told() * card_.time_scale;
}

Tensor ModuleDenoiser::LabelsOf(const Tensor& labels, const Tensor& x) const {
  const int64_t classes = card_.facts.classes;
  if (classes == 0) return {};
  GAS_CHECK(labels.defined() || card_.has_none(), Errc::kBadOption, name_,
            ": no class is given, and the card names no unconditional one");
  const Tensor given =
      labels.defined() ? labels : torch::full({x.size(0)}, -1, x.options().dtype(torch::kInt64));
  CheckClassLabels(name_ + ": ", given, card_.has_none() ? -1 : 0, classes);
  if (card_.labels == LabelForm::kOneHot) return OneHotRows(given, classes, x.scalar_type());
  return card_.unconditional ? torch::where(given < 0, torch::full_like(given, *card_.unconditional), given)
                             : given;
}

Tensor ModuleDenoiser::CheckedOutput(const Tensor& output, const Tensor& state) const {
  Tensor kept = output;
  if (card_.learned_variance && output.dim() == state.dim() && output.size(1) == 2 * state.size(1))
    kept = output.slice(1, 0, state.size(1));
  GAS_CHECK(kept.sizes() == state.sizes(), Errc::kBadFile, name_, ": its output has shape ", output.sizes(),
            ", must be that of the state, ", state.sizes(),
            card_.learned_variance ? ", with twice the channels" : "");
  return kept;
}

Tensor ModuleDenoiser::Evaluate(const Tensor& state, const Tensor& time, const Tensor& labels) const {
  const AutocastGuard autocast(state.device().type(), dtype_);
  std::vector<std::pair<std::string, Tensor>> named;
  for (const auto& [argument, input] : inputs_) {
    switch (input) {
      case ModuleInput::kState: named.emplace_back(argument, state); break;
      case ModuleInput::kTime:
        named.emplace_back(argument, card_.time_is_scalar ? time : time.expand({state.size(0)}));
        break;
      case ModuleInput::kLabels: named.emplace_back(argument, labels); break;
    }
  }
  try {
    return CheckedOutput(module_->Run(named), state);
  } catch (const Error& e) {
    // Not every operation of LibTorch takes numbers of two types at once.
    if (dtype_ == torch::kFloat32) throw;
    Fail(Errc::kBadOption, e.what(), " (in ", nn::kProductDtypeNames.NameOf(dtype_), "; float32 may do)");
  }
}

Tensor ModuleDenoiser::Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const {
  GAS_CHECK(x.dim() > 1 && x.sizes().slice(1) == at::IntArrayRef(card_.facts.shape), Errc::kBadOption, name_,
            ": states of shape ", x.sizes(), ", must be [B] and then ", at::IntArrayRef(card_.facts.shape));
  if (!module_->has_gradient()) CheckNoGradientAsked(card_.facts.name, x, at);
  const Tensor state =
      (card_.state == StateConvention::kOverAlpha ? x * ToLike(1 / at.alpha, x) : x).contiguous();
  const Tensor labels = LabelsOf(condition.labels, x);
  const Tensor time = ToLike(TimeOf(at), x);
  const auto rows = [&](const Tensor& part, const Tensor& shared, int64_t begin, int64_t end) {
    return Evaluate(part, shared, RowsIfAny(labels, begin, end));
  };
  const Tensor output = x.dim() == 4 ? ParallelOverBatch(state, time, rows) : rows(state, time, 0, x.size(0));
  return output.to(x.scalar_type());
}

}  // namespace gas
