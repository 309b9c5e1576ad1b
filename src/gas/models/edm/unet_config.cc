#include <set>

#include "gas/core/error.h"
#include "gas/core/nearest.h"
#include "gas/io/json.h"
#include "gas/models/edm/unet.h"

namespace gas::edm {
namespace {

using Json = nlohmann::json;

// One field of the configuration, read from or written to the key of the same name.
template <class Visitor>
void VisitFields(UNetConfig& c, Visitor&& visit) {
  visit("model_type", c.model_type);
  visit("img_resolution", c.img_resolution);
  visit("in_channels", c.in_channels);
  visit("out_channels", c.out_channels);
  visit("label_dim", c.label_dim);
  visit("augment_dim", c.augment_dim);
  visit("model_channels", c.model_channels);
  visit("channel_mult", c.channel_mult);
  visit("channel_mult_emb", c.channel_mult_emb);
  visit("num_blocks", c.num_blocks);
  visit("attn_resolutions", c.attn_resolutions);
  visit("dropout", c.dropout);
  visit("label_dropout", c.label_dropout);
  visit("embedding_type", c.embedding_type);
  visit("channel_mult_noise", c.channel_mult_noise);
  visit("encoder_type", c.encoder_type);
  visit("decoder_type", c.decoder_type);
  visit("resample_filter", c.resample_filter);
}

UNetConfig DefaultsOf(const std::string& model_type) {
  UNetConfig config;
  config.model_type = model_type;
  if (model_type == "DhariwalUNet") {
    config.model_channels = 192;
    config.channel_mult = {1, 2, 3, 4};
    config.num_blocks = 3;
    config.attn_resolutions = {32, 16, 8};
  }
  return config;
}

}  // namespace

UNetConfig UNetConfigFromJson(const Json& init_kwargs, const std::string& model_type) {
  GAS_CHECK(init_kwargs.is_object(), Errc::kBadFile, "network: init_kwargs is not a JSON object");
  const std::string where = "network: init_kwargs.";
  std::string type = model_type;
  if (init_kwargs.contains("model_type")) ReadField(where + "model_type", init_kwargs["model_type"], type);
  UNetConfig config = DefaultsOf(type);
  // Arguments of the preconditioning around the network, read elsewhere.
  std::vector<std::string> known = {"img_channels", "use_fp16", "sigma_min", "sigma_max",
                                    "sigma_data",   "beta_d",   "beta_min",  "M",
                                    "epsilon_t",    "C_1",      "C_2"};
  if (init_kwargs.contains("img_channels")) {
    ReadField(where + "img_channels", init_kwargs["img_channels"], config.in_channels);
    config.out_channels = config.in_channels;
  }
  VisitFields(config, [&](const char* key, auto& field) {
    known.emplace_back(key);
    if (init_kwargs.contains(key)) ReadField(where + key, init_kwargs[key], field);
  });
  for (const auto& [key, value] : init_kwargs.items()) {
    GAS_CHECK(std::find(known.begin(), known.end(), key) != known.end(), Errc::kBadFile,
              "network: init_kwargs.", Printable(key), ": unknown key, did you mean ",
              NearestName(key, known), "?");
  }
  for (const auto& [key, share] :
       {std::pair{"dropout", config.dropout}, std::pair{"label_dropout", config.label_dropout}}) {
    GAS_CHECK(share >= 0 && share <= 1, Errc::kBadFile, where, key, " = ", share, ", must be in [0, 1]");
  }
  return config;
}

Json ToJson(const UNetConfig& config) {
  Json json;
  UNetConfig copy = config;
  VisitFields(copy, [&](const char* key, auto& field) { json[key] = field; });
  return json;
}

}  // namespace gas::edm
