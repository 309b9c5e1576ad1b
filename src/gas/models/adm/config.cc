#include "gas/models/adm/config.h"

#include "gas/core/error.h"
#include "gas/models/adm/card.h"
#include "gas/models/openai_unet/weights_config.h"

namespace gas::adm {
namespace {

using Json = nlohmann::json;
using openai_unet::UNetConfig;

// Sampling flags in the READMEs of openai/guided-diffusion and openai/consistency_models.
struct Published {
  int64_t model_channels;
  std::vector<double> channel_mult;
  int64_t num_res_blocks;
  int64_t image_size, num_heads, num_head_channels;
  bool new_attention_order;
  const char* noise_schedule;
};

const std::vector<Published>& AllPublished() {
  static const std::vector<Published> rows = {
      {192, {1, 2, 3, 4}, 3, 64, 1, 64, true, "cosine"},
      {256, {1, 1, 2, 3, 4}, 2, 128, 4, 0, false, "linear"},
      {256, {1, 1, 2, 2, 4, 4}, 2, 256, 1, 64, false, "linear"},  // LSUN's too
      {256, {0.5, 1, 1, 2, 2, 4, 4}, 2, 512, 1, 64, false, "linear"},
  };
  return rows;
}

// Fills in what was published of a network of these sizes; whether there is one.
bool TakePublished(AdmConfig& config) {
  UNetConfig& c = config.network;
  for (const Published& row : AllPublished()) {
    if (c.model_channels != row.model_channels || c.channel_mult != row.channel_mult ||
        c.num_res_blocks != row.num_res_blocks) {
      continue;
    }
    config.image_size = row.image_size;
    config.noise_schedule = row.noise_schedule;
    c.num_heads = row.num_heads;
    c.num_head_channels = row.num_head_channels;
    if (row.new_attention_order) c.qkv_order = nn::QkvOrder::kPartHeadChannel;
    return true;
  }
  return false;
}

void CheckChannels(const std::string& file, const AdmConfig& config) {
  const UNetConfig& c = config.network;
  GAS_CHECK(c.in_channels == 3, Errc::kBadFile, file, ": the network takes ", c.in_channels,
            " channels, must be 3 (networks that enlarge images are not read)");
  const bool learned = c.out_channels == 2 * c.in_channels && !config.edm;
  GAS_CHECK(c.out_channels == c.in_channels || learned, Errc::kBadFile, file, ": the network gives ",
            c.out_channels, " channels for ", c.in_channels, ", must be as many",
            config.edm ? "" : ", or twice as many with learned variances");
}

void CheckImageSize(const std::string& file, const AdmConfig& config) {
  const UNetConfig& c = config.network;
  const int64_t shrink = int64_t{1} << (c.levels() - 1);
  GAS_CHECK(config.image_size >= shrink && config.image_size % shrink == 0 && config.image_size <= 8192,
            Errc::kBadFile, file, ": image_size = ", config.image_size, ", must be a multiple of ", shrink,
            " for ", c.levels(), " levels, at most 8192");
}

}  // namespace

bool HasAdmNames(const TensorFile& weights) {
  const auto& tensors = weights.tensors();
  return std::ranges::all_of(
      std::initializer_list<const char*>{"time_embed.0.weight", "input_blocks.0.0.weight",
                                         "middle_block.1.qkv.weight", "output_blocks.0.0.in_layers.0.weight",
                                         "out.2.weight"},
      [&](const char* name) { return tensors.contains(name); });
}

AdmConfig ConfigOf(const TensorFile& weights, const std::filesystem::path& card) {
  AdmConfig config;
  config.network = openai_unet::ConfigOfWeights(weights);
  config.edm = config.network.qkv_dims == 4;
  CheckChannels(weights.name(), config);
  const bool published = TakePublished(config);
  if (config.edm) config.network.qkv_order = nn::QkvOrder::kPartHeadChannel;
  const CardSays says = std::filesystem::exists(card) ? ReadCard(card, config) : CardSays{};
  GAS_CHECK(published || (says.image_size && says.heads), Errc::kBadFile, weights.name(),
            ": the weights do not say ", says.image_size ? "num_head_channels or num_heads" : "image_size",
            ", and it is no published network; write the flags of its training into ", card.string());
  CheckImageSize(weights.name(), config);
  return config;
}

std::filesystem::path CardBeside(const std::filesystem::path& weights) { return weights.string() + ".json"; }

Json FlagsOf(const AdmConfig& config) {
  const UNetConfig& c = config.network;
  Json flags = SeenFlags(config);
  flags["image_size"] = config.image_size;
  if (c.num_head_channels > 0) {
    flags["num_head_channels"] = c.num_head_channels;
  } else {
    flags["num_heads"] = c.num_heads;
  }
  if (config.edm) {
    flags["sigma_min"] = config.sigma_min;
    flags["sigma_max"] = config.sigma_max;
  } else {
    flags["use_new_attention_order"] = c.qkv_order == nn::QkvOrder::kPartHeadChannel;
    flags["noise_schedule"] = config.noise_schedule;
    flags["diffusion_steps"] = config.diffusion_steps;
    flags["rescale_timesteps"] = config.rescale_timesteps;
    flags["predict_xstart"] = config.predict_xstart;
  }
  return flags;
}

}  // namespace gas::adm
