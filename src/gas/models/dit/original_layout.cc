// State dicts of facebookresearch/DiT and willisma/SiT, and what their training saves.
#include <algorithm>
#include <cctype>

#include "gas/core/error.h"
#include "gas/io/json.h"
#include "gas/io/pickle_fields.h"
#include "gas/io/torch_tensors.h"
#include "gas/models/dit/card.h"
#include "gas/models/dit/layout.h"

namespace gas::dit {
namespace {

namespace fs = std::filesystem;

// What train.py saves: the weights, their averages, the optimiser's state, and its arguments.
constexpr const char *kAveraged = "ema", *kArguments = "args";
constexpr int64_t kGuidedByOriginals = 3;

// The dictionary that training saves; null for other files.
const PickleDict* SavedByTraining(const ModelFiles& files) {
  const auto* root = files.torch() ? files.torch()->root().If<PickleDict>() : nullptr;
  const PickleRef averages = root == nullptr ? nullptr : ValueOf(*root, kAveraged);
  return averages != nullptr && averages->If<PickleDict>() != nullptr ? root : nullptr;
}

// The weights that are to be used; null for files without such.
std::shared_ptr<const TensorFile> WeightsOf(const ModelFiles& files) {
  if (files.tensors() != nullptr) return files.tensors();
  if (SavedByTraining(files) == nullptr) return nullptr;
  return std::make_shared<TorchTensors>(files.torch(), std::vector<std::string>{kAveraged});
}

// An argument of the training that saved the file; "" if there is none.
std::string ArgumentOf(const ModelFiles& files, const char* name) {
  if (!files.torch()) return "";
  const std::string path[] = {kArguments, name};
  const PickleRef value = files.torch()->Find(path);
  const auto* text = value == nullptr ? nullptr : value->If<std::string>();
  return text == nullptr ? "" : *text;
}

// Both publications name their files so, "DiT-XL-2-256x256.pt", and nothing in them tells them apart.
std::optional<Kind> KindByName(const fs::path& path) {
  std::string name = path.filename().string().substr(0, 3);
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
  if (name == "dit") return Kind::kDit;
  if (name == "sit") return Kind::kSit;
  return std::nullopt;
}

// By the card, by the arguments of its training, by the file's name.
Kind KindOf(const ModelFiles& files, const std::optional<Kind>& in_card, const fs::path& card) {
  if (in_card) return *in_card;
  if (const auto word = ParseModelWord(ArgumentOf(files, "model"))) return word->kind;
  const std::optional<Kind> kind = KindByName(files.path());
  GAS_CHECK(kind, Errc::kBadFile, files.name(),
            ": the weights do not say whether they are DiT's or SiT's; write ",
            R"({"model": "DiT"} or {"model": "SiT"} into )", card.string());
  return *kind;
}

// Trainings on another path, or of another prediction, than the networks here.
void CheckArguments(const ModelFiles& files) {
  for (const auto& [name, must_be] : {std::pair{"path_type", "Linear"}, {"prediction", "velocity"}}) {
    const std::string found = ArgumentOf(files, name);
    GAS_CHECK(found.empty() || found == must_be, Errc::kBadFile, files.name(), ": args.", name, " = ",
              Quoted(found), ", must be ", must_be);
  }
}

// Beside the weights: a folder of diffusers, or a file.
fs::path VaeBeside(const fs::path& weights) {
  const fs::path folder = weights.parent_path();
  if (fs::exists(folder / "vae" / "config.json")) return folder / "vae";
  for (const char* name : {"vae.safetensors", "vae.pt", "vae.ckpt"}) {
    if (fs::exists(folder / name)) return folder / name;
  }
  return {};
}

std::vector<std::string> UnusedOf(const ModelFiles& files) {
  std::vector<std::string> unused;
  const PickleDict* saved = SavedByTraining(files);
  if (saved == nullptr) return unused;
  for (const auto& [key, value] : saved->items) {
    const auto* name = key->If<std::string>();
    if (name != nullptr && *name != kAveraged && *name != kArguments) unused.push_back(*name);
  }
  return unused;
}

}  // namespace

bool IsOriginal(const ModelFiles& files) {
  if (files.tensors() != nullptr) return HasNames(*files.tensors());
  const PickleDict* saved = SavedByTraining(files);
  return saved != nullptr && ValueOf(*ValueOf(*saved, kAveraged)->If<PickleDict>(),
                                     "blocks.0.adaLN_modulation.1.weight") != nullptr;
}

Layout OpenOriginal(const ModelFiles& files, const std::string& asked) {
  Layout layout{.weights = WeightsOf(files), .guided_channels = kGuidedByOriginals};
  Config& config = layout.config;
  config.network = NetworkOfWeights(*layout.weights);
  const fs::path beside = files.path().string() + ".json", path = asked.empty() ? beside : fs::path(asked);
  const bool described = !asked.empty() || fs::exists(path);
  const Card card = described ? ReadCard(path, config.network) : Card{};
  if (described) layout.described_by = path.string();
  CheckArguments(files);
  config.kind = KindOf(files, card.kind, path);
  if (card.heads) config.network.heads = *card.heads;
  GAS_CHECK(config.network.heads > 0, Errc::kBadFile, files.name(),
            ": the weights do not say num_heads, and ", config.network.depth, " blocks of width ",
            config.network.width, " are no published network; write {\"num_heads\": ...} into ",
            path.string());
  Validate(files.name(), config.network);
  SetClasses(files.name(), card.classes, config);
  config.scale_factor = card.scale_factor.value_or(config.scale_factor);
  config.vae = card.vae.empty() ? VaeBeside(files.path()) : card.vae;
  layout.sha256 = files.Sha256();
  layout.unused = UnusedOf(files);
  return layout;
}

}  // namespace gas::dit
