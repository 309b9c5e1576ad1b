#include "gas/models/autoencoder/autoencoder_config.h"

#include "gas/core/error.h"
#include "gas/core/in_range.h"
#include "gas/io/json.h"
#include "gas/io/json_mapping.h"

namespace gas::autoencoder {
namespace {

using Json = nlohmann::json;

// The groups of every normalisation (nn/layers.h), of which channels are a multiple.
constexpr int64_t kNormGroups = 32;

Kind KindOf(const std::string& what, const Json& first_stage) {
  std::string target;
  ReadField(what + ".target", first_stage.value("target", Json()), target);
  if (target.ends_with(".VQModelInterface") || target.ends_with(".VQModel")) return Kind::kVq;
  if (target.ends_with(".AutoencoderKL")) return Kind::kKl;
  Fail(Errc::kBadFile, what, ".target = ", Quoted(target),
       ", must be a VQModelInterface, VQModel or AutoencoderKL");
}

// Values that would change the network are refused, wherever a configuration states another than the one that
// is made here.
void CheckVariants(const std::string& what, const Json& ddconfig, Kind kind) {
  const std::pair<const char*, Json> made[] = {{"double_z", kind == Kind::kKl},
                                               {"resamp_with_conv", true},
                                               {"give_pre_end", false},
                                               {"tanh_out", false},
                                               {"use_linear_attn", false}};
  CheckFixed(what, ddconfig, made);
  // The second computes the same with other kernels.
  const Json attention = ddconfig.value("attn_type", Json("vanilla"));
  GAS_CHECK(attention == "vanilla" || attention == "vanilla-xformers", Errc::kBadFile, what,
            ".attn_type = ", Shown(attention), ", must be \"vanilla\" or \"vanilla-xformers\"");
}

}  // namespace

AutoencoderConfig AutoencoderConfigFromJson(const std::string& what, const Json& first_stage) {
  const std::string of_params = what + ".params", of_ddconfig = of_params + ".ddconfig";
  GAS_CHECK(first_stage.is_object(), Errc::kBadFile, what, " is not a mapping");
  AutoencoderConfig config{.kind = KindOf(what, first_stage)};
  const Json& params = MappingAt(what, first_stage, "params");
  const Json& ddconfig = MappingAt(of_params, params, "ddconfig");
  CheckVariants(of_ddconfig, ddconfig, config.kind);
  ReadNeeded(of_params, params, "embed_dim", config.latent_channels);
  if (config.kind == Kind::kVq) ReadNeeded(of_params, params, "n_embed", config.codes);
  ReadNeeded(of_ddconfig, ddconfig, "in_channels", config.in_channels);
  ReadNeeded(of_ddconfig, ddconfig, "out_ch", config.out_channels);
  ReadNeeded(of_ddconfig, ddconfig, "z_channels", config.inner_channels);
  ReadNeeded(of_ddconfig, ddconfig, "ch", config.width);
  ReadNeeded(of_ddconfig, ddconfig, "ch_mult", config.channel_mult);
  ReadNeeded(of_ddconfig, ddconfig, "num_res_blocks", config.blocks);
  ReadNeeded(of_ddconfig, ddconfig, "resolution", config.resolution);
  ReadNeeded(of_ddconfig, ddconfig, "attn_resolutions", config.attn_resolutions);
  Validate(what, config);
  return config;
}

void Validate(const std::string& what, const AutoencoderConfig& c) {
  CheckInClosed(Errc::kBadFile, what + ": in_channels", c.in_channels, 1, 1024);
  CheckInClosed(Errc::kBadFile, what + ": out_ch", c.out_channels, 1, 1024);
  CheckInClosed(Errc::kBadFile, what + ": embed_dim", c.latent_channels, 1, 4096);
  CheckInClosed(Errc::kBadFile, what + ": z_channels", c.inner_channels, 1, 4096);
  if (c.kind == Kind::kVq) CheckInClosed(Errc::kBadFile, what + ": n_embed", c.codes, 1, int64_t{1} << 24);
  CheckInClosed(Errc::kBadFile, what + ": ch", c.width, 1, 8192);
  CheckInClosed(Errc::kBadFile, what + ": num_res_blocks", c.blocks, 1, 64);
  CheckInClosed(Errc::kBadFile, what + ": resolution", c.resolution, 1, 65536);
  CheckInClosed(Errc::kBadFile, what + ": number of ch_mult", static_cast<int64_t>(c.channel_mult.size()), 1,
                10);
  for (const int64_t mult : c.channel_mult) CheckInClosed(Errc::kBadFile, what + ": ch_mult", mult, 1, 64);
  GAS_CHECK(c.width % kNormGroups == 0, Errc::kBadFile, what, ": ch = ", c.width, ", must be a multiple of ",
            kNormGroups);
}

}  // namespace gas::autoencoder
