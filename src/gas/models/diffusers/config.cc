#include "gas/models/diffusers/config.h"

#include "gas/core/error.h"
#include "gas/io/json_mapping.h"

namespace gas::diffusers {
namespace {

using Json = nlohmann::json;
using openai_unet::UNetConfig;

// A number, or a list of one for each level.
std::vector<int64_t> OneOrEach(const std::string& what, const Json& json, const char* key,
                               int64_t otherwise) {
  std::vector<int64_t> values = {otherwise};
  const auto found = json.find(key);
  if (found != json.end() && found->is_array()) {
    ReadOptional(what, json, key, values);
  } else {
    ReadOptional(what, json, key, values[0]);
  }
  return values;
}

void CheckUNetVariants(const std::string& what, const Json& json) {
  const std::pair<const char*, Json> made[] = {{"act_fn", "silu"},
                                               {"flip_sin_to_cos", true},
                                               {"freq_shift", 0},
                                               {"norm_num_groups", 32},
                                               {"norm_eps", 1e-5},
                                               {"mid_block_scale_factor", 1},
                                               {"downsample_padding", 1},
                                               {"center_input_sample", false},
                                               {"class_embed_type", nullptr},
                                               {"num_class_embeds", nullptr},
                                               {"dual_cross_attention", false},
                                               {"only_cross_attention", false},
                                               {"encoder_hid_dim", nullptr},
                                               {"cross_attention_norm", nullptr},
                                               {"conv_in_kernel", 3},
                                               {"conv_out_kernel", 3},
                                               {"mid_block_type", "UNetMidBlock2DCrossAttn"},
                                               {"resnet_time_scale_shift", "default"},
                                               {"resnet_skip_time_act", false},
                                               {"resnet_out_scale_factor", 1.0},
                                               {"time_embedding_type", "positional"},
                                               {"time_embedding_dim", nullptr},
                                               {"time_embedding_act_fn", nullptr},
                                               {"timestep_post_act", nullptr},
                                               {"time_cond_proj_dim", nullptr},
                                               {"reverse_transformer_layers_per_block", nullptr}};
  CheckFixed(what, json, made);
}

// Levels with attention, by the types of the encoder's blocks; the decoder's must mirror them.
std::vector<int64_t> AttentionFactors(const std::string& what, const Json& json, size_t levels) {
  std::vector<std::string> down, up;
  ReadNeeded(what, json, "down_block_types", down);
  ReadNeeded(what, json, "up_block_types", up);
  GAS_CHECK(down.size() == levels && up.size() == levels, Errc::kBadFile, what, ": ", down.size(),
            " down_block_types and ", up.size(), " up_block_types, must be one for each of the ", levels,
            " block_out_channels");
  std::vector<int64_t> factors;
  for (size_t level = 0; level < levels; ++level) {
    const bool attention = down[level] == "CrossAttnDownBlock2D";
    GAS_CHECK(attention || down[level] == "DownBlock2D", Errc::kBadFile, what, ".down_block_types has ",
              Quoted(down[level]), ", must be CrossAttnDownBlock2D or DownBlock2D");
    const std::string mirrored = attention ? "CrossAttnUpBlock2D" : "UpBlock2D";
    GAS_CHECK(up[levels - 1 - level] == mirrored, Errc::kBadFile, what, ".up_block_types has ",
              Quoted(up[levels - 1 - level]), " against ", down[level], ", must be ", mirrored);
    if (attention) factors.push_back(int64_t{1} << level);
  }
  return factors;
}

// attention_head_dim is the number of heads, by an old mistake that is kept.
void ReadHeads(const std::string& what, const Json& json, const std::vector<int64_t>& channels,
               UNetConfig& c) {
  const Json heads_entry = json.value("num_attention_heads", Json());
  const char* key = heads_entry.is_null() ? "attention_head_dim" : "num_attention_heads";
  const std::vector<int64_t> heads = OneOrEach(what, json, key, 8);
  if (heads.size() == 1) {
    c.num_heads = heads[0];
    return;
  }
  GAS_CHECK(heads.size() == channels.size(), Errc::kBadFile, what, ".", key, " has ", heads.size(),
            " numbers, must have 1 or ", channels.size());
  for (size_t level = 0; level < heads.size(); ++level) {
    GAS_CHECK(heads[level] >= 1 && channels[level] % heads[level] == 0 &&
                  channels[level] / heads[level] == channels[0] / std::max<int64_t>(1, heads[0]),
              Errc::kBadFile, what, ".", key, " = ", heads[level], " for ", channels[level],
              " channels, must give heads of the same width at each level");
  }
  c.num_head_channels = channels[0] / heads[0];
}

}  // namespace

UNetConfig UNetFromDiffusers(const std::string& what, const Json& json) {
  GAS_CHECK(json.is_object(), Errc::kBadFile, what, " is no object");
  CheckUNetVariants(what, json);
  UNetConfig c;
  std::vector<int64_t> channels;
  ReadNeeded(what, json, "in_channels", c.in_channels);
  ReadNeeded(what, json, "out_channels", c.out_channels);
  ReadNeeded(what, json, "layers_per_block", c.num_res_blocks);
  ReadNeeded(what, json, "cross_attention_dim", c.context_dim);
  ReadNeeded(what, json, "block_out_channels", channels);
  GAS_CHECK(!channels.empty() && channels.size() <= 10 && channels[0] > 0, Errc::kBadFile, what,
            ".block_out_channels must be 1 to 10 positive numbers");
  c.model_channels = channels[0];
  c.channel_mult.clear();
  for (const int64_t count : channels) {
    c.channel_mult.push_back(static_cast<double>(count) / static_cast<double>(channels[0]));
  }
  c.attention_resolutions = AttentionFactors(what, json, channels.size());
  ReadHeads(what, json, channels, c);
  c.use_spatial_transformer = true;
  c.transformer_depth = OneOrEach(what, json, "transformer_layers_per_block", 1);
  const Json added = json.value("addition_embed_type", Json());
  GAS_CHECK(added.is_null() || added == "text_time", Errc::kBadFile, what,
            ".addition_embed_type = ", Shown(added), ", must be none or text_time");
  if (!added.is_null()) ReadNeeded(what, json, "projection_class_embeddings_input_dim", c.vector_dim);
  try {
    openai_unet::Validate(c);
  } catch (const Error& e) {  // an impossible size, which here came from a file
    Fail(Errc::kBadFile, what, ": ", e.what());
  }
  return c;
}

autoencoder::AutoencoderConfig AutoencoderFromDiffusers(const std::string& what, const Json& json) {
  GAS_CHECK(json.is_object(), Errc::kBadFile, what, " is no object");
  const std::pair<const char*, Json> made[] = {{"act_fn", "silu"},
                                               {"norm_num_groups", 32},
                                               {"latents_mean", nullptr},
                                               {"latents_std", nullptr},
                                               {"shift_factor", nullptr},
                                               {"use_quant_conv", true},
                                               {"use_post_quant_conv", true},
                                               {"mid_block_add_attention", true}};
  CheckFixed(what, json, made);
  autoencoder::AutoencoderConfig c{.kind = autoencoder::Kind::kKl};
  std::vector<int64_t> channels;
  ReadNeeded(what, json, "in_channels", c.in_channels);
  ReadNeeded(what, json, "out_channels", c.out_channels);
  ReadNeeded(what, json, "latent_channels", c.latent_channels);
  ReadNeeded(what, json, "layers_per_block", c.blocks);
  ReadNeeded(what, json, "block_out_channels", channels);
  ReadOptional(what, json, "sample_size", c.resolution);
  c.inner_channels = c.latent_channels;
  GAS_CHECK(!channels.empty() && channels[0] > 0, Errc::kBadFile, what,
            ".block_out_channels must be positive numbers");
  c.width = channels[0];
  c.channel_mult.clear();
  for (const int64_t count : channels) {
    GAS_CHECK(count % channels[0] == 0, Errc::kBadFile, what, ".block_out_channels has ", count,
              ", must be multiples of the first, ", channels[0]);
    c.channel_mult.push_back(count / channels[0]);
  }
  autoencoder::Validate(what, c);
  return c;
}

void ReadDiffusersSchedule(const std::string& what, const Json& json, compvis::Config& c) {
  GAS_CHECK(json.is_object(), Errc::kBadFile, what, " is no object");
  std::string betas = "linear", prediction = "epsilon";
  ReadOptional(what, json, "num_train_timesteps", c.timesteps);
  ReadOptional(what, json, "beta_start", c.linear_start);
  ReadOptional(what, json, "beta_end", c.linear_end);
  ReadOptional(what, json, "beta_schedule", betas);
  ReadOptional(what, json, "prediction_type", prediction);
  GAS_CHECK(betas == "scaled_linear", Errc::kBadFile, what, ".beta_schedule = ", Quoted(betas),
            ", must be \"scaled_linear\"");
  const std::pair<const char*, Json> made[] = {{"trained_betas", nullptr}, {"rescale_betas_zero_snr", false}};
  CheckFixed(what, json, made);
  if (prediction == "v_prediction") c.prediction = PredictionType::kVelocity;
  if (prediction == "sample") c.prediction = PredictionType::kData;
  GAS_CHECK(c.prediction != PredictionType::kNoise || prediction == "epsilon", Errc::kBadFile, what,
            ".prediction_type = ", Quoted(prediction), ", must be epsilon, v_prediction or sample");
}

}  // namespace gas::diffusers
