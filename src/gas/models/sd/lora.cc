#include "gas/models/sd/lora.h"

#include <algorithm>

#include "gas/core/error.h"
#include "gas/models/diffusers/module_names.h"
#include "gas/models/model_files.h"
#include "gas/nn/name_match.h"

namespace gas::sd {
namespace {

enum class Half { kDown, kUp, kAlpha };

// How names of tensors end, with what each end is.
struct Ending {
  std::string_view text;
  Half half;
};
constexpr Ending kEndings[] = {{".lora_down.weight", Half::kDown},
                               {".lora_up.weight", Half::kUp},
                               {".alpha", Half::kAlpha},
                               {".lora_A.weight", Half::kDown},
                               {".lora_B.weight", Half::kUp},
                               {".lora.down.weight", Half::kDown},
                               {".lora.up.weight", Half::kUp},
                               {".lora_linear_layer.down.weight", Half::kDown},
                               {".lora_linear_layer.up.weight", Half::kUp}};

// The tensors of one layer's change, by their names in the file.
struct Change {
  std::string down, up, alpha;
  std::string& At(Half half) { return half == Half::kDown ? down : half == Half::kUp ? up : alpha; }
};

std::string Underscored(std::string name) {
  std::ranges::replace(name, '.', '_');
  return name;
}

// The names of layers with a weight that is a matrix or a kernel, and these weights.
std::vector<std::pair<std::string, Tensor>> LayersOf(const torch::nn::Module& network) {
  constexpr std::string_view kWeight = ".weight";
  std::vector<std::pair<std::string, Tensor>> layers;
  for (const auto& item : network.named_parameters()) {
    if (!item.key().ends_with(kWeight) || item.value().dim() < 2) continue;
    layers.emplace_back(item.key().substr(0, item.key().size() - kWeight.size()), item.value());
  }
  return layers;
}

std::map<std::string, Change> ChangesIn(const TensorFile& file) {
  std::map<std::string, Change> changes;
  for (const auto& entry : file.tensors()) {
    const std::string& name = entry.first;
    const auto ending =
        std::ranges::find_if(kEndings, [&](const Ending& end) { return name.ends_with(end.text); });
    GAS_CHECK(ending != std::end(kEndings), Errc::kBadFile, file.name(), ": tensor ", name,
              " is no half of a low-rank product (lora_down, lora_up, alpha, lora_A, lora_B)");
    std::string& place = changes[name.substr(0, name.size() - ending->text.size())].At(ending->half);
    GAS_CHECK(place.empty(), Errc::kBadFile, file.name(), ": tensors ", place, " and ", name,
              " are the same half");
    place = name;
  }
  return changes;
}

Tensor Read(const TensorFile& file, const std::string& name) {
  const Tensor tensor = file.View(name);
  nn::CheckFiniteWeights(tensor, name, file.name());
  return tensor.to(torch::kFloat64);
}

// (alpha / rank) up down, in the shape of `weight`.
Tensor ProductOf(const TensorFile& file, const Change& change, const Tensor& weight) {
  const Tensor down = Read(file, change.down), up = Read(file, change.up);
  const int64_t rank = down.dim() > 0 ? down.size(0) : 0;
  const bool fits = down.dim() >= 2 && up.dim() >= 2 && rank > 0 && up.numel() == weight.size(0) * rank &&
                    up.size(0) == weight.size(0) && down.numel() / rank == weight.numel() / weight.size(0);
  GAS_CHECK(fits, Errc::kBadFile, file.name(), ": tensors ", change.down, " and ", change.up, " have shapes ",
            down.sizes(), " and ", up.sizes(), ", whose product is not that of the layer's weight, ",
            weight.sizes());
  double scale = 1;
  if (!change.alpha.empty()) {
    const Tensor alpha = Read(file, change.alpha);
    GAS_CHECK(alpha.numel() == 1, Errc::kBadFile, file.name(), ": tensor ", change.alpha, " has shape ",
              alpha.sizes(), ", must be one number");
    scale = alpha.reshape({}).item<double>() / static_cast<double>(rank);
  }
  return scale * torch::mm(up.reshape({weight.size(0), rank}), down.reshape({rank, -1})).view(weight.sizes());
}

}  // namespace

void LoraTargets::AddName(const std::string& name, const Tensor& weight) {
  const auto [place, added] = weights_.emplace(name, weight);
  GAS_ASSERT(added || place->second.is_same(weight));
}

void LoraTargets::Add(const openai_unet::UNet& network) {
  const diffusers::ModuleNames names = diffusers::UNetNames(network.config());
  for (const auto& [layer, weight] : LayersOf(network)) {
    const std::string in_file = names.ToDiffusers(layer + ".weight");
    const std::string diffusers = in_file.substr(0, in_file.rfind('.'));
    AddName("lora_unet_" + Underscored(diffusers), weight);
    AddName("lora_unet_" + Underscored(layer), weight);
    AddName("unet." + diffusers, weight);
  }
}

void LoraTargets::Add(const text::ClipText& network, size_t index, bool only) {
  const std::string number = std::to_string(index + 1);
  for (const auto& [layer, weight] : LayersOf(network)) {
    AddName((only ? "lora_te_" : "lora_te" + number + "_") + Underscored(layer), weight);
    AddName((index == 0 ? "text_encoder." : "text_encoder_" + number + ".") + layer, weight);
  }
}

const Tensor* LoraTargets::Find(const std::string& layer) const {
  const auto found = weights_.find(layer);
  return found == weights_.end() ? nullptr : &found->second;
}

std::string MergeLora(const LoraFile& lora, const LoraTargets& targets) {
  const ModelFiles files(lora.path);
  GAS_CHECK(files.tensors() != nullptr && !files.tensors()->tensors().empty(), Errc::kBadFile, lora.path,
            ": no file of tensors, or of none");
  const TensorFile& file = *files.tensors();
  const torch::NoGradGuard no_gradient;
  for (const auto& [layer, change] : ChangesIn(file)) {
    const std::string& any = change.down.empty() ? change.up.empty() ? change.alpha : change.up : change.down;
    const Tensor* weight = targets.Find(layer);
    GAS_CHECK(weight != nullptr, Errc::kBadFile, file.name(), ": tensor ", any,
              " belongs to no layer of the model");
    GAS_CHECK(!change.down.empty() && !change.up.empty(), Errc::kBadFile, file.name(), ": tensor ", any,
              " stands without the rest of its low-rank product");
    const Tensor product = lora.weight * ProductOf(file, change, *weight);
    Tensor(*weight).copy_(weight->to(torch::kFloat64).add_(product.to(weight->device())));
  }
  return files.Sha256();
}

}  // namespace gas::sd
