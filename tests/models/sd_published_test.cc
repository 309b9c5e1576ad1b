// The published versions of Stable Diffusion at full size: configurations as their folders have them, and
// numbers of parameters. Nothing is allocated.
#include <nlohmann/json.hpp>

#include "gas/models/autoencoder/autoencoder.h"
#include "gas/models/autoencoder/weights_config.h"
#include "gas/models/diffusers/config.h"
#include "gas/models/openai_unet/unet.h"
#include "gas/models/openai_unet/weights_config.h"
#include "gas/models/sd/text_stages.h"
#include "gas/nn/skeleton.h"
#include "gas/nn/weights.h"
#include "support/expect.h"

namespace gas {
namespace {

using autoencoder::Autoencoder;
using openai_unet::UNet;
using openai_unet::UNetConfig;
using Json = nlohmann::json;

template <class Network, class Config>
std::shared_ptr<Network> SkeletonWith(const Config& config) {
  const nn::SkeletonGuard skeleton;
  return std::make_shared<Network>(config);
}

// Names and shapes of a network, as a single file has them.
class ShapesAlone : public TensorFile {
 public:
  ShapesAlone(const torch::nn::Module& network, const std::string& prefix) {
    name_ = "published.safetensors";
    for (const auto& item : network.named_parameters()) {
      tensors_[prefix + item.key()] = {torch::kFloat16, item.value().sizes().vec()};
    }
  }
  Tensor View(const std::string&) const override { return {}; }
};

Json UNetJson(const Json& changes) {
  Json json = {
      {"in_channels", 4},
      {"out_channels", 4},
      {"layers_per_block", 2},
      {"block_out_channels", {320, 640, 1280, 1280}},
      {"down_block_types",
       {"CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"}},
      {"up_block_types", {"UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"}},
      {"sample_size", 64}};
  json.update(changes);
  return json;
}

const Json kSd1 = UNetJson({{"cross_attention_dim", 768}, {"attention_head_dim", 8}});
const Json kSd2 = UNetJson({{"cross_attention_dim", 1024}, {"attention_head_dim", {5, 10, 20, 20}}});
const Json kXl =
    UNetJson({{"cross_attention_dim", 2048},
              {"block_out_channels", {320, 640, 1280}},
              {"down_block_types", {"DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"}},
              {"up_block_types", {"CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"}},
              {"attention_head_dim", {5, 10, 20}},
              {"transformer_layers_per_block", {1, 2, 10}},
              {"addition_embed_type", "text_time"},
              {"projection_class_embeddings_input_dim", 2816}});

TEST(SdPublished, UNetsHaveTheirNumbersOfParameters) {
  for (const auto& [json, count] :
       {std::pair<Json, int64_t>{kSd1, 859520964}, {kSd2, 865910724}, {kXl, 2567463684}}) {
    const UNetConfig config = diffusers::UNetFromDiffusers("unet", json);
    const auto network = SkeletonWith<UNet>(config);
    EXPECT_EQ(nn::ParameterCount(*network), count);
    // Single files come without a configuration: what shows in their shapes is the same network.
    UNetConfig shown = openai_unet::ConfigOfWeights(ShapesAlone(*network, "model."), "model.");
    shown.num_heads = config.num_heads;
    shown.num_head_channels = config.num_head_channels;
    EXPECT_EQ(shown.attention_resolutions, config.attention_resolutions);
    EXPECT_EQ(shown.vector_dim, config.vector_dim);
    EXPECT_EQ(nn::ParameterCount(*SkeletonWith<UNet>(shown)), count);
  }
}

TEST(SdPublished, HeadsAreThoseOfTheirConfigurations) {
  EXPECT_EQ(diffusers::UNetFromDiffusers("unet", kSd1).HeadsOf(1280), 8);
  EXPECT_EQ(diffusers::UNetFromDiffusers("unet", kSd2).HeadsOf(1280), 20);
  EXPECT_EQ(diffusers::UNetFromDiffusers("unet", kXl).HeadsOf(640), 10);
}

TEST(SdPublished, TextEncodersHaveTheirNumbersOfParameters) {
  const auto count = [](int64_t width, int64_t layers, int64_t heads, bool projection) {
    const Json json = {{"hidden_size", width},
                       {"num_hidden_layers", layers},
                       {"num_attention_heads", heads},
                       {"intermediate_size", 4 * width},
                       {"hidden_act", "gelu"},
                       {"projection_dim", width},
                       {"architectures", {projection ? "CLIPTextModelWithProjection" : "CLIPTextModel"}}};
    const auto network = SkeletonWith<text::ClipText>(sd::ClipTextFromJson("text_encoder", json));
    const text::ClipTextConfig shown = sd::ClipTextOfWeights(ShapesAlone(*network, "text."), "text.");
    EXPECT_EQ(shown.heads, heads);
    EXPECT_EQ(shown.layers, layers);
    return nn::ParameterCount(*network);
  };
  EXPECT_EQ(count(768, 12, 12, false), 123060480);   // ViT-L/14, of 1 and XL
  EXPECT_EQ(count(1024, 23, 16, false), 340387840);  // ViT-H/14 without its last layer, of 2
  EXPECT_EQ(count(1280, 32, 20, true), 694659840);   // ViT-bigG/14, of XL
}

TEST(SdPublished, TheAutoencoderHasItsNumberOfParameters) {
  const Json json = {{"in_channels", 3},     {"out_channels", 3},
                     {"latent_channels", 4}, {"layers_per_block", 2},
                     {"sample_size", 512},   {"block_out_channels", {128, 256, 512, 512}}};
  const auto network = SkeletonWith<Autoencoder>(diffusers::AutoencoderFromDiffusers("vae", json));
  EXPECT_EQ(nn::ParameterCount(*network), 83653863);
  const auto shown = autoencoder::KlConfigOfWeights(ShapesAlone(*network, "first."), "first.");
  EXPECT_EQ(shown.channel_mult, network->config().channel_mult);
  EXPECT_EQ(nn::ParameterCount(*SkeletonWith<Autoencoder>(shown)), 83653863);
}

}  // namespace
}  // namespace gas
