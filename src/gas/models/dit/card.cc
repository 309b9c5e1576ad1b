#include "gas/models/dit/card.h"

#include <algorithm>

#include "gas/core/error.h"
#include "gas/core/nearest.h"
#include "gas/io/json.h"
#include "gas/io/json_file.h"

namespace gas::dit {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kMostCardBytes = uint64_t{1} << 20;
constexpr int64_t kVaeFactor = 8;  // the side of an image over that of its latents, of every published one

// Where a key is read from, and what it says it of.
struct CardReading {
  std::filesystem::path folder;
  const NetworkConfig& network;
  Card& card;
};

void MustBe(const std::string& what, const Json& value, const Json& in_weights) {
  GAS_CHECK(value == in_weights, Errc::kBadFile, what, " = ", Shown(value), ", but the weights have ",
            Shown(in_weights));
}

void TakeModel(const std::string& what, const Json& value, const CardReading& to) {
  std::string text;
  ReadField(what, value, text);
  const std::optional<ModelWord> word = ParseModelWord(text);
  GAS_CHECK(word, Errc::kBadFile, what, " = ", Shown(value),
            ", must be DiT or SiT, or with S, B, L or XL and a patch size such as DiT-XL/2");
  to.card.kind = word->kind;
  if (!word->sizes) return;
  const NetworkConfig& c = to.network;
  GAS_CHECK(word->sizes->depth == c.depth && word->sizes->width == c.width &&
                word->sizes->patch_size == c.patch_size,
            Errc::kBadFile, what, " = ", Shown(value), ", but the weights have ", c.depth,
            " blocks of width ", c.width, " on patches of ", c.patch_size);
}

void TakeHeads(const std::string& what, const Json& value, const CardReading& to) {
  to.card.heads = WholeNumber(what, value, 1, 1 << 14);
}

void TakeClasses(const std::string& what, const Json& value, const CardReading& to) {
  to.card.classes = WholeNumber(what, value, 1, 1 << 24);
}

void TakeScale(const std::string& what, const Json& value, const CardReading& to) {
  to.card.scale_factor = RealNumber(what, value);
  GAS_CHECK(*to.card.scale_factor > 0, Errc::kBadFile, what, " = ", Shown(value), ", must be positive");
}

void TakeVae(const std::string& what, const Json& value, const CardReading& to) {
  std::string text;
  ReadField(what, value, text);
  to.card.vae = to.folder / text;
  GAS_CHECK(!text.empty() && std::filesystem::exists(to.card.vae), Errc::kBadFile, what, " = ", Shown(value),
            ": no file or folder at ", to.card.vae.string());
}

void CheckPath(const std::string& what, const Json& value, const CardReading&) {
  GAS_CHECK(value == "Linear", Errc::kBadFile, what, " = ", Shown(value), ", must be Linear");
}

void CheckPrediction(const std::string& what, const Json& value, const CardReading&) {
  GAS_CHECK(value == "velocity", Errc::kBadFile, what, " = ", Shown(value), ", must be velocity");
}

void CheckMlpRatio(const std::string& what, const Json& value, const CardReading& to) {
  const double width = RealNumber(what, value) * static_cast<double>(to.network.width);
  GAS_CHECK(width >= 0 && width < 1e9 && static_cast<int64_t>(width) == to.network.inner_width,
            Errc::kBadFile, what, " = ", Shown(value), ", but the weights have feed-forward layers of width ",
            to.network.inner_width);
}

void CheckImageSize(const std::string& what, const Json& value, const CardReading& to) {
  MustBe(what, value, kVaeFactor * to.network.input_size);
}

void CheckInputSize(const std::string& what, const Json& value, const CardReading& to) {
  MustBe(what, value, to.network.input_size);
}

void CheckInChannels(const std::string& what, const Json& value, const CardReading& to) {
  MustBe(what, value, to.network.in_channels);
}

void CheckPatchSize(const std::string& what, const Json& value, const CardReading& to) {
  MustBe(what, value, to.network.patch_size);
}

void CheckHiddenSize(const std::string& what, const Json& value, const CardReading& to) {
  MustBe(what, value, to.network.width);
}

void CheckDepth(const std::string& what, const Json& value, const CardReading& to) {
  MustBe(what, value, to.network.depth);
}

void CheckLearnSigma(const std::string& what, const Json& value, const CardReading& to) {
  MustBe(what, value, to.network.out_channels > to.network.in_channels);
}

struct CardKey {
  const char* name;
  void (*take)(const std::string& what, const Json& value, const CardReading& to);
};

constexpr CardKey kCardKeys[] = {{"model", TakeModel},
                                 {"num_heads", TakeHeads},
                                 {"num_classes", TakeClasses},
                                 {"scale_factor", TakeScale},
                                 {"vae", TakeVae},
                                 {"path_type", CheckPath},
                                 {"prediction", CheckPrediction},
                                 {"mlp_ratio", CheckMlpRatio},
                                 {"image_size", CheckImageSize},
                                 {"input_size", CheckInputSize},
                                 {"in_channels", CheckInChannels},
                                 {"patch_size", CheckPatchSize},
                                 {"hidden_size", CheckHiddenSize},
                                 {"depth", CheckDepth},
                                 {"learn_sigma", CheckLearnSigma}};

std::string NearestCardKey(const std::string& name) {
  std::vector<std::string> known;
  for (const CardKey& key : kCardKeys) known.emplace_back(key.name);
  return NearestName(name, known);
}

}  // namespace

Card ReadCard(const std::filesystem::path& path, const NetworkConfig& network) {
  const Json json = ReadJsonFile(path, kMostCardBytes);
  GAS_CHECK(json.is_object(), Errc::kBadFile, path.string(), ": not a JSON object");
  Card card;
  const CardReading to{path.parent_path(), network, card};
  for (const auto& [name, value] : json.items()) {
    const auto* key = std::ranges::find(kCardKeys, name, &CardKey::name);
    GAS_CHECK(key != std::end(kCardKeys), Errc::kBadFile, path.string(), ": ", Quoted(name),
              ": unknown key, did you mean ", NearestCardKey(name), "?");
    key->take(path.string() + ": " + name, value, to);
  }
  return card;
}

}  // namespace gas::dit
