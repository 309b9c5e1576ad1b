#include "gas/models/compvis/checkpoint.h"

#include <algorithm>

#include "gas/core/error.h"
#include "gas/io/pickle_fields.h"
#include "gas/io/torch_tensors.h"
#include "gas/nn/weights.h"

namespace gas::compvis {
namespace {

constexpr std::string_view kStateDict = "state_dict";
constexpr std::string_view kNetwork = "model.diffusion_model.";
constexpr std::string_view kAverages = "model_ema.";
constexpr std::string_view kCondition = "cond_stage_model.", kClasses = "cond_stage_model.embedding.weight";
// Where newer models keep their text encoders.
constexpr std::string_view kConditioner = "conditioner.";

// The dictionary that training saves around a state dict; null for other files.
const PickleDict* TrainingDict(const ModelFiles& files) {
  const auto* root = files.torch() ? files.torch()->root().If<PickleDict>() : nullptr;
  const PickleRef state = root == nullptr ? nullptr : ValueOf(*root, kStateDict);
  return state != nullptr && state->If<PickleDict>() != nullptr ? root : nullptr;
}

std::vector<std::string> NamesOf(const ModelFiles& files) {
  std::vector<std::string> names;
  if (const PickleDict* root = TrainingDict(files)) {
    for (const auto& [key, value] : ValueOf(*root, kStateDict)->If<PickleDict>()->items) {
      if (const auto* name = key->If<std::string>()) names.push_back(*name);
    }
  } else if (files.tensors() != nullptr) {
    for (const auto& [name, info] : files.tensors()->tensors()) names.push_back(name);
  }
  return names;
}

bool IsOfTextEncoder(const std::string& name) {
  return (name.starts_with(kCondition) && name != kClasses) || name.starts_with(kConditioner);
}

std::string WithoutDots(std::string name) {
  std::erase(name, '.');
  return name;
}

// "first_stage_model.loss" of first_stage_model.loss.discriminator.x, "model_ema" of model_ema.x; all single
// names together.
std::string PartOf(const std::string& name) {
  const size_t dot = name.find('.');
  if (dot == std::string::npos) return "tables";
  const bool two_levels = name.starts_with("first_stage_model.") || name.starts_with("model.");
  return name.substr(0, two_levels ? name.find('.', dot + 1) : dot);
}

}  // namespace

bool IsCheckpoint(const ModelFiles& files) {
  return std::ranges::any_of(NamesOf(files),
                             [](const std::string& name) { return name.starts_with(kNetwork); });
}

bool HasTextEncoder(const ModelFiles& files) { return std::ranges::any_of(NamesOf(files), IsOfTextEncoder); }

CheckpointWeights::CheckpointWeights(const ModelFiles& files) : files_(files) {
  if (TrainingDict(files) != nullptr) {
    tensors_ =
        std::make_shared<TorchTensors>(files.torch(), std::vector<std::string>{std::string(kStateDict)});
  } else {
    tensors_ = files.tensors();
  }
}

std::optional<Tensor> CheckpointWeights::Table(const std::string& name) {
  if (!tensors_->tensors().contains(name)) return std::nullopt;
  used_.insert(name);
  return tensors_->View(name).to(torch::kFloat64, /*non_blocking=*/false, /*copy=*/true);
}

bool CheckpointWeights::HasPart(const std::string& prefix) const {
  const auto first = tensors_->tensors().lower_bound(prefix);
  return first != tensors_->tensors().end() && first->first.starts_with(prefix);
}

void CheckpointWeights::LoadRenamed(torch::nn::Module& module, torch::Device device, const Rename& rename) {
  nn::LoadWeights(module, *tensors_, {.rename = rename, .device = device});
  for (const auto& [name, info] : tensors_->tensors()) {
    if (!rename(name).empty()) used_.insert(name);
  }
}

void CheckpointWeights::Load(torch::nn::Module& module, const std::string& prefix, torch::Device device,
                             const std::vector<std::string>& left_out) {
  LoadRenamed(module, device, [&](const std::string& in_file) {
    if (!in_file.starts_with(prefix)) return std::string();
    const std::string name = in_file.substr(prefix.size());
    const bool is_left_out =
        std::ranges::any_of(left_out, [&](const std::string& part) { return name.starts_with(part); });
    return is_left_out ? std::string() : name;
  });
}

void CheckpointWeights::LoadAverages(torch::nn::Module& unet, torch::Device device) {
  std::map<std::string, std::string> names;  // the network's, by the file's
  const std::string module = WithoutDots("diffusion_model.");
  for (const auto& item : unet.named_parameters()) {
    names[std::string(kAverages) + module + WithoutDots(item.key())] = item.key();
  }
  LoadRenamed(unet, device, [&](const std::string& in_file) {
    const auto found = names.find(in_file);
    return found == names.end() ? std::string() : found->second;
  });
}

void CheckpointWeights::MarkUsed(const std::string& prefix) {
  for (const auto& [name, info] : tensors_->tensors()) {
    if (name.starts_with(prefix)) used_.insert(name);
  }
}

std::vector<std::string> CheckpointWeights::Unused() const {
  std::map<std::string, int64_t> parts;
  for (const auto& [name, info] : tensors_->tensors()) {
    if (!used_.contains(name)) ++parts[PartOf(name)];
  }
  std::vector<std::string> unused;
  for (const auto& [part, count] : parts) {
    unused.push_back(part + " (" + std::to_string(count) + (count == 1 ? " tensor)" : " tensors)"));
  }
  if (const PickleDict* root = TrainingDict(files_)) {
    for (const auto& [key, value] : root->items) {
      const auto* name = key->If<std::string>();
      if (name != nullptr && *name != kStateDict) unused.push_back(*name);
    }
  }
  return unused;
}

}  // namespace gas::compvis
