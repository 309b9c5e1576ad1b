#include "gas/models/adm/card.h"

#include <algorithm>
#include <sstream>

#include "gas/core/error.h"
#include "gas/core/nearest.h"
#include "gas/core/split.h"
#include "gas/io/json.h"
#include "gas/io/json_file.h"

namespace gas::adm {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kMaxCardBytes = uint64_t{1} << 20;

void TakeNumHeads(const std::string& what, const Json& value, AdmConfig& config) {
  config.network.num_heads = WholeNumber(what, value, 1, 8192);
}

// -1: num_heads decides.
void TakeHeadChannels(const std::string& what, const Json& value, AdmConfig& config) {
  config.network.num_head_channels = std::max<int64_t>(0, WholeNumber(what, value, -1, 8192));
}

// Deprecated, and nowhere used with another number than -1: as num_heads.
void CheckHeadsUpsample(const std::string& what, const Json& value, AdmConfig&) {
  WholeNumber(what, value, -1, -1);
}

void TakeImageSize(const std::string& what, const Json& value, AdmConfig& config) {
  config.image_size = WholeNumber(what, value, 1, 8192);
}

// The consistency models' networks have one order of attention's channels, whatever this flag says.
void TakeAttentionOrder(const std::string& what, const Json& value, AdmConfig& config) {
  const bool part_first = TruthValue(what, value) || config.edm;
  config.network.qkv_order = part_first ? nn::QkvOrder::kPartHeadChannel : nn::QkvOrder::kHeadPartChannel;
}

void TakeNoiseSchedule(const std::string& what, const Json& value, AdmConfig& config) {
  ReadField(what, value, config.noise_schedule);
  GAS_CHECK(config.noise_schedule == "linear" || config.noise_schedule == "cosine", Errc::kBadFile, what,
            " = ", Shown(value), ", must be linear or cosine");
}

void TakeDiffusionSteps(const std::string& what, const Json& value, AdmConfig& config) {
  config.diffusion_steps = WholeNumber(what, value, 21, 1'000'000);
}

void TakeRescaleTimesteps(const std::string& what, const Json& value, AdmConfig& config) {
  config.rescale_timesteps = TruthValue(what, value);
}

void TakePredictXstart(const std::string& what, const Json& value, AdmConfig& config) {
  config.predict_xstart = TruthValue(what, value);
}

void TakeSigmaMin(const std::string& what, const Json& value, AdmConfig& config) {
  config.sigma_min = RealNumber(what, value);
  GAS_CHECK(config.sigma_min > 0, Errc::kBadFile, what, " = ", config.sigma_min, ", must be positive");
}

void TakeSigmaMax(const std::string& what, const Json& value, AdmConfig& config) {
  config.sigma_max = RealNumber(what, value);
}

// Of training, of speed, or of the reference's sampler: nothing of the network.
void Ignore(const std::string&, const Json&, AdmConfig&) {}

// Which of the two kinds of network has the flag.
enum class Of { kBoth, kDiscrete, kEdm };

struct Flag {
  const char* name;
  Of of;
  void (*take)(const std::string& what, const Json& value, AdmConfig& config);
};

// The flags that weights do not show. Those that they do are SeenFlags.
constexpr Flag kFlags[] = {
    {"image_size", Of::kBoth, TakeImageSize},
    {"num_heads", Of::kBoth, TakeNumHeads},
    {"num_head_channels", Of::kBoth, TakeHeadChannels},
    {"num_heads_upsample", Of::kBoth, CheckHeadsUpsample},
    {"use_new_attention_order", Of::kBoth, TakeAttentionOrder},
    {"noise_schedule", Of::kDiscrete, TakeNoiseSchedule},
    {"diffusion_steps", Of::kDiscrete, TakeDiffusionSteps},
    {"rescale_timesteps", Of::kDiscrete, TakeRescaleTimesteps},
    {"predict_xstart", Of::kDiscrete, TakePredictXstart},
    {"sigma_min", Of::kEdm, TakeSigmaMin},
    {"sigma_max", Of::kEdm, TakeSigmaMax},
    {"dropout", Of::kBoth, Ignore},
    {"use_checkpoint", Of::kBoth, Ignore},
    {"use_fp16", Of::kBoth, Ignore},
    {"use_kl", Of::kDiscrete, Ignore},
    {"rescale_learned_sigmas", Of::kDiscrete, Ignore},
    {"timestep_respacing", Of::kDiscrete, Ignore},
    {"weight_schedule", Of::kEdm, Ignore},
};

// Numbers joined by commas, as guided-diffusion's flags have lists.
template <class Number>
std::string Listed(const std::vector<Number>& numbers) {
  std::ostringstream text;
  for (size_t i = 0; i < numbers.size(); ++i) text << (i == 0 ? "" : ",") << numbers[i];
  return text.str();
}

// The levels with attention, by what guided-diffusion's flag makes of image sizes: levels of a factor
// image_size / size, rounded down.
std::vector<int64_t> AttentionFactors(const std::string& what, const Json& value, const AdmConfig& config) {
  std::string text;
  ReadField(what, value, text);
  std::vector<int64_t> factors;
  for (const std::string& size : SplitAt(text, ',')) {
    const std::optional<Json> number = ParseJsonOrNone(size);
    GAS_CHECK(number && number->is_number_integer() && *number > 0, Errc::kBadFile, what, " = ", Shown(value),
              ", must be image sizes joined by commas");
    const int64_t factor = config.image_size / number->get<int64_t>();
    for (int64_t level = 0; level < config.network.levels(); ++level) {
      if (factor == int64_t{1} << level) factors.push_back(factor);
    }
  }
  std::ranges::sort(factors);
  return factors;
}

// A flag that the weights show too.
void CheckSeen(const std::string& what, const std::string& name, const Json& value, const AdmConfig& config) {
  const Json in_weights = SeenFlags(config).at(name);
  const Json of_image_size = "";  // guided-diffusion's own multipliers
  if (name == "channel_mult" && value == of_image_size) return;
  const bool agrees = name == "attention_resolutions"
                          ? AttentionFactors(what, value, config) == config.network.attention_resolutions
                          : value == in_weights;
  GAS_CHECK(agrees, Errc::kBadFile, what, " = ", Shown(value), ", but the weights have ", Shown(in_weights));
}

const Flag* FlagOf(const std::string& name) {
  const auto* found = std::ranges::find(kFlags, name, &Flag::name);
  return found == std::end(kFlags) ? nullptr : found;
}

std::string NearestFlag(const std::string& name, const AdmConfig& config) {
  std::vector<std::string> known;
  for (const Flag& flag : kFlags) known.emplace_back(flag.name);
  const Json seen = SeenFlags(config);
  for (const auto& item : seen.items()) known.push_back(item.key());
  return NearestName(name, known);
}

}  // namespace

Json SeenFlags(const AdmConfig& config) {
  const openai_unet::UNetConfig& c = config.network;
  std::vector<int64_t> sizes;
  for (const int64_t factor : c.attention_resolutions) sizes.push_back(config.image_size / factor);
  return {{"num_channels", c.model_channels},
          {"num_res_blocks", c.num_res_blocks},
          {"channel_mult", Listed(c.channel_mult)},
          {"attention_resolutions", Listed(sizes)},
          {"class_cond", c.num_classes > 0},
          {"learn_sigma", c.out_channels > c.in_channels},
          {"use_scale_shift_norm", c.use_scale_shift_norm},
          {"resblock_updown", c.resblock_updown}};
}

CardSays ReadCard(const std::filesystem::path& path, AdmConfig& config) {
  const Json card = ReadJsonFile(path, kMaxCardBytes);
  GAS_CHECK(card.is_object(), Errc::kBadFile, path.string(), ": not a JSON object");
  const auto what = [&](const std::string& name) { return path.string() + ": " + name; };
  for (const auto& [name, value] : card.items()) {
    const Flag* flag = FlagOf(name);
    if (flag == nullptr) continue;
    GAS_CHECK(flag->of == Of::kBoth || (flag->of == Of::kEdm) == config.edm, Errc::kBadFile, what(name),
              ": a flag of ", config.edm ? "guided-diffusion's networks" : "EDM networks",
              ", which this is not by its attention's weights");
    flag->take(what(name), value, config);
  }
  const Json seen = SeenFlags(config);
  for (const auto& [name, value] : card.items()) {
    if (FlagOf(name) != nullptr) continue;
    GAS_CHECK(seen.contains(name), Errc::kBadFile, what(Quoted(name)), ": unknown flag, did you mean ",
              NearestFlag(name, config), "?");
    CheckSeen(what(name), name, value, config);
  }
  GAS_CHECK(config.sigma_min < config.sigma_max, Errc::kBadFile, what("sigma_max"), " = ", config.sigma_max,
            ", must be above sigma_min = ", config.sigma_min);
  // A number of heads in the card is meant where a published network has their channels.
  if (card.contains("num_heads") && !card.contains("num_head_channels")) config.network.num_head_channels = 0;
  return {.image_size = card.contains("image_size"),
          .heads = card.contains("num_heads") || card.contains("num_head_channels")};
}

}  // namespace gas::adm
