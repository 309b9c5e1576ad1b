#include "gas/models/compvis/config.h"

#include "gas/core/error.h"
#include "gas/core/nearest.h"
#include "gas/io/json.h"
#include "gas/io/json_mapping.h"

namespace gas::compvis {
namespace {

using Json = nlohmann::json;

constexpr int64_t kImageNetClasses = 1000;  // ClassEmbedder's default

std::string TargetOf(const std::string& what, const Json& object) {
  std::string target;
  ReadOptional(what, object, "target", target);
  return target;
}

// Values of a network that would make it another than is made here.
void CheckVariants(const std::string& what, const Json& params) {
  const std::pair<const char*, Json> made[] = {{"dims", 2}, {"conv_resample", true}, {"n_embed", nullptr}};
  CheckFixed(what, params, made);
}

// -1 stands for "not given" in the reference.
void ReadHeads(const std::string& what, const Json& params, openai_unet::UNetConfig& c) {
  int64_t heads = -1, head_channels = -1, heads_upsample = -1;
  ReadOptional(what, params, "num_heads", heads);
  ReadOptional(what, params, "num_head_channels", head_channels);
  ReadOptional(what, params, "num_heads_upsample", heads_upsample);
  GAS_CHECK(heads != -1 || head_channels != -1, Errc::kBadFile, what,
            " has neither num_heads nor num_head_channels");
  GAS_CHECK(heads_upsample == -1 || heads_upsample == heads, Errc::kBadFile, what,
            ".num_heads_upsample = ", heads_upsample, ", must be num_heads = ", heads);
  if (head_channels != -1) c.num_head_channels = head_channels;
  if (heads != -1) c.num_heads = heads;
}

// One number, or one for each level.
void ReadDepth(const std::string& what, const Json& params, std::vector<int64_t>& depth) {
  const auto found = params.find("transformer_depth");
  if (found != params.end() && found->is_array())
    return ReadOptional(what, params, "transformer_depth", depth);
  ReadOptional(what, params, "transformer_depth", depth[0]);
}

// num_classes "sequential" stands for a vector of adm_in_channels numbers; classes are none here.
int64_t VectorWidth(const std::string& what, const Json& params) {
  const Json classes = params.value("num_classes", Json());
  if (classes.is_null()) return 0;
  GAS_CHECK(classes == "sequential", Errc::kBadFile, what, ".num_classes = ", Shown(classes),
            ", must be none or sequential");
  int64_t width = 0;
  ReadNeeded(what, params, "adm_in_channels", width);
  return width;
}

// What has a place of its own in c. No other keys may stand there.
void ReadSizes(const std::string& what, const Json& params, openai_unet::UNetConfig& c) {
  // Read elsewhere, or of no meaning for sampling.
  std::vector<std::string> known = {"image_size",
                                    "dropout",
                                    "use_checkpoint",
                                    "use_fp16",
                                    "legacy",
                                    "num_heads",
                                    "num_head_channels",
                                    "num_heads_upsample",
                                    "dims",
                                    "num_classes",
                                    "conv_resample",
                                    "n_embed",
                                    "use_new_attention_order",
                                    "use_linear_in_transformer",
                                    "adm_in_channels",
                                    "spatial_transformer_attn_type"};
  const auto field = [&](const char* key, auto& value) {
    known.emplace_back(key);
    ReadOptional(what, params, key, value);
  };
  field("in_channels", c.in_channels);
  field("out_channels", c.out_channels);
  field("model_channels", c.model_channels);
  field("num_res_blocks", c.num_res_blocks);
  field("attention_resolutions", c.attention_resolutions);
  field("channel_mult", c.channel_mult);
  field("use_scale_shift_norm", c.use_scale_shift_norm);
  field("resblock_updown", c.resblock_updown);
  field("use_spatial_transformer", c.use_spatial_transformer);
  known.emplace_back("transformer_depth");
  ReadDepth(what, params, c.transformer_depth);
  field("context_dim", c.context_dim);
  for (const auto& [key, value] : params.items()) {
    GAS_CHECK(std::find(known.begin(), known.end(), key) != known.end(), Errc::kBadFile, what, ".", key,
              ": unknown key, did you mean ", NearestName(key, known), "?");
  }
}

}  // namespace

openai_unet::UNetConfig UNetFromJson(const std::string& what, const Json& unet) {
  const std::string target = TargetOf(what, unet), of_params = what + ".params";
  GAS_CHECK(target.ends_with(".UNetModel"), Errc::kBadFile, what, ".target = ", Quoted(target),
            ", must be a UNetModel");
  const Json& params = MappingAt(what, unet, "params");
  openai_unet::UNetConfig c;
  ReadSizes(of_params, params, c);
  CheckVariants(of_params, params);
  c.vector_dim = VectorWidth(of_params, params);
  ReadHeads(of_params, params, c);
  bool new_order = false;
  ReadOptional(of_params, params, "use_new_attention_order", new_order);
  if (new_order) c.qkv_order = nn::QkvOrder::kPartHeadChannel;
  try {
    openai_unet::Validate(c);
  } catch (const Error& e) {  // an impossible size, which here came from a file
    Fail(Errc::kBadFile, of_params, ": ", e.what());
  }
  return c;
}

namespace {

PredictionType PredictionOf(const std::string& what, const Json& params) {
  std::string name = "eps";
  ReadOptional(what, params, "parameterization", name);
  if (name == "eps") return PredictionType::kNoise;
  if (name == "x0") return PredictionType::kData;
  if (name == "v") return PredictionType::kVelocity;
  Fail(Errc::kBadFile, what, ".parameterization = ", Quoted(name), ", must be eps, x0 or v");
}

bool IsTextEncoder(const std::string& target) {
  return target.ends_with(".FrozenCLIPEmbedder") || target.ends_with(".FrozenOpenCLIPEmbedder");
}

void CheckConditionedByAttention(const std::string& what, const Json& params) {
  std::string key = "crossattn";
  ReadOptional(what, params, "conditioning_key", key);
  GAS_CHECK(key == "crossattn", Errc::kBadFile, what, ".conditioning_key = ", Quoted(key),
            key == "hybrid" ? ", of a network that fills in masked images, which cannot be sampled here"
                            : ", must be crossattn");
}

// The number of classes that the condition's embedding has, and that it fits the network.
int64_t EmbeddedClassesOf(const std::string& what, const Json& params,
                          const openai_unet::UNetConfig& network) {
  const std::string of_stage = what + ".cond_stage_config";
  const Json stage = params.value("cond_stage_config", Json());
  if (stage.is_null() || stage == "__is_unconditional__") {
    GAS_CHECK(network.context_dim == 0, Errc::kBadFile, what,
              ".unet_config.params.context_dim = ", network.context_dim,
              ", must be none for an unconditional model");
    return 0;
  }
  const std::string target = stage.is_object() ? TargetOf(of_stage, stage) : stage.dump();
  GAS_CHECK(IsTextEncoder(target) || target.ends_with(".ClassEmbedder"), Errc::kBadFile, of_stage, " is ",
            Quoted(target),
            ", must be __is_unconditional__, a ClassEmbedder, FrozenCLIPEmbedder or FrozenOpenCLIPEmbedder");
  CheckConditionedByAttention(what, params);
  if (IsTextEncoder(target)) return 0;
  int64_t classes = kImageNetClasses, width = 0;
  const Json& of = MappingAt(of_stage, stage, "params");
  ReadOptional(of_stage + ".params", of, "n_classes", classes);
  ReadOptional(of_stage + ".params", of, "embed_dim", width);
  GAS_CHECK(classes >= 2 && classes <= 1 << 20, Errc::kBadFile, of_stage, ".params.n_classes = ", classes,
            ", must be in [2, ", 1 << 20, "]");
  GAS_CHECK(network.use_spatial_transformer && width == network.context_dim, Errc::kBadFile, of_stage,
            ".params.embed_dim = ", width, ", must be the network's context_dim = ", network.context_dim);
  return classes;
}

// cond_stage_config, if it is a text encoder's.
Json TextStageOf(const std::string& what, const Json& params) {
  const auto stage = params.find("cond_stage_config");
  if (stage == params.end() || !stage->is_object()) return {};
  return IsTextEncoder(TargetOf(what + ".cond_stage_config", *stage)) ? *stage : Json();
}

}  // namespace

void CheckNumbers(const std::string& what, const Config& c) {
  GAS_CHECK(c.network.in_channels != c.channels + kInpaintingChannels, Errc::kBadFile, what,
            ": the network has ", c.network.in_channels, " input channels for latents of ", c.channels,
            ": it fills in masked images, and cannot be sampled here");
  const int64_t channels[] = {c.network.in_channels, c.network.out_channels, c.first_stage.latent_channels};
  for (const int64_t other : channels) {
    GAS_CHECK(other == c.channels, Errc::kBadFile, what, ": channels = ", c.channels,
              ", but in_channels and out_channels of the network and embed_dim of the first stage are ",
              channels[0], ", ", channels[1], " and ", channels[2]);
  }
  const int64_t multiple = int64_t{1} << (c.network.levels() - 1);
  GAS_CHECK(c.image_size >= 1 && c.image_size <= 8192 && c.image_size % multiple == 0, Errc::kBadFile, what,
            ".image_size = ", c.image_size, ", must be a multiple of ", multiple, " in [1, 8192]");
  GAS_CHECK(c.timesteps >= 2 && c.timesteps <= 1'000'000, Errc::kBadFile, what, ".timesteps = ", c.timesteps,
            ", must be in [2, 1000000]");
  GAS_CHECK(std::isfinite(c.scale_factor) && c.scale_factor > 0, Errc::kBadFile, what,
            ".scale_factor = ", c.scale_factor, ", must be above 0");
}

Config ConfigFromJson(const std::string& name, const Json& yaml) {
  GAS_CHECK(yaml.is_object(), Errc::kBadFile, name, " is not a mapping");
  const Json& model = MappingAt(name, yaml, "model");
  const std::string target = TargetOf(name + ": model", model);
  GAS_CHECK(target.ends_with(".LatentDiffusion"), Errc::kBadFile, name, ": model.target = ", Quoted(target),
            ", must be a LatentDiffusion");
  const std::string what = name + ": model.params";
  const Json& params = MappingAt(name + ": model", model, "params");
  Config c;
  c.network = UNetFromJson(what + ".unet_config", MappingAt(what, params, "unet_config"));
  c.first_stage = autoencoder::AutoencoderConfigFromJson(what + ".first_stage_config",
                                                         MappingAt(what, params, "first_stage_config"));
  ReadOptional(what, params, "channels", c.channels);
  ReadOptional(what, params, "image_size", c.image_size);
  ReadOptional(what, params, "scale_factor", c.scale_factor);
  ReadOptional(what, params, "use_ema", c.use_ema);
  ReadOptional(what, params, "timesteps", c.timesteps);
  ReadOptional(what, params, "beta_schedule", c.beta_schedule);
  ReadOptional(what, params, "linear_start", c.linear_start);
  ReadOptional(what, params, "linear_end", c.linear_end);
  c.prediction = PredictionOf(what, params);
  c.embedded_classes = EmbeddedClassesOf(what, params, c.network);
  c.text_stage = TextStageOf(what, params);
  CheckNumbers(what, c);
  return c;
}

}  // namespace gas::compvis
