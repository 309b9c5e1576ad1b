// Configurations of latent diffusion models as CompVis publishes them.
#include "gas/models/compvis/config.h"
#include "support/expect.h"

namespace gas {
namespace {

using Json = nlohmann::json;

// cin256-v2 and lsun_bedrooms by their published configurations (configs/latent-diffusion of
// CompVis/latent-diffusion), as far as they say what the network is.
TEST(LdmConfig, ReadsThePublishedConfigurations) {
  const Json first_stage = {{"target", "ldm.models.autoencoder.VQModelInterface"},
                            {"params",
                             {{"embed_dim", 3},
                              {"n_embed", 8192},
                              {"ddconfig",
                               {{"double_z", false},
                                {"z_channels", 3},
                                {"resolution", 256},
                                {"in_channels", 3},
                                {"out_ch", 3},
                                {"ch", 128},
                                {"ch_mult", {1, 2, 4}},
                                {"num_res_blocks", 2},
                                {"attn_resolutions", Json::array()},
                                {"dropout", 0.0}}},
                              {"lossconfig", {{"target", "torch.nn.Identity"}}}}}};
  Json params = {{"linear_start", 0.0015},
                 {"linear_end", 0.0195},
                 {"image_size", 64},
                 {"channels", 3},
                 {"first_stage_config", first_stage},
                 {"unet_config",
                  {{"target", "ldm.modules.diffusionmodules.openaimodel.UNetModel"},
                   {"params",
                    {{"image_size", 64},
                     {"in_channels", 3},
                     {"out_channels", 3},
                     {"model_channels", 224},
                     {"attention_resolutions", {8, 4, 2}},
                     {"num_res_blocks", 2},
                     {"channel_mult", {1, 2, 3, 4}},
                     {"num_head_channels", 32}}}}},
                 {"cond_stage_config", "__is_unconditional__"}};
  const auto read = [&] {
    return compvis::ConfigFromJson(
        "x", {{"model", {{"target", "ldm.models.diffusion.ddpm.LatentDiffusion"}, {"params", params}}}});
  };
  const compvis::Config lsun = read();
  EXPECT_TRUE(lsun.use_ema);
  EXPECT_EQ(lsun.embedded_classes, 0);
  EXPECT_EQ(lsun.network.num_head_channels, 32);
  EXPECT_DOUBLE_EQ(lsun.scale_factor, 1);
  Json& unet = params["unet_config"]["params"];
  unet.update({{"model_channels", 192},
               {"channel_mult", {1, 2, 3, 5}},
               {"num_heads", 1},
               {"use_spatial_transformer", true},
               {"transformer_depth", 1},
               {"context_dim", 512}});
  unet.erase("num_head_channels");
  params["conditioning_key"] = "crossattn";
  params["cond_stage_config"] = {
      {"target", "ldm.modules.encoders.modules.ClassEmbedder"},
      {"params", {{"n_classes", 1001}, {"embed_dim", 512}, {"key", "class_label"}}}};
  const compvis::Config cin = read();
  EXPECT_EQ(cin.embedded_classes, 1001);
  EXPECT_EQ(cin.network.num_heads, 1);
  EXPECT_EQ(cin.network.context_dim, 512);
}

}  // namespace
}  // namespace gas
