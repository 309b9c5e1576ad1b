// Published networks of guided-diffusion are known by the sizes of their weights.
#include "gas/models/adm/config.h"
#include "gas/models/openai_unet/unet.h"
#include "gas/nn/skeleton.h"
#include "support/expect.h"

namespace gas {
namespace {

using nlohmann::json;
using openai_unet::UNetConfig;

// Names and shapes of a network, as a file has them.
class NamesOfUNet : public TensorFile {
 public:
  explicit NamesOfUNet(const UNetConfig& config) {
    name_ = "published.pt";
    const nn::SkeletonGuard skeleton;
    const openai_unet::UNet network(config);
    for (const auto& item : network.named_parameters()) {
      tensors_[item.key()] = {torch::kFloat32, item.value().sizes().vec()};
    }
  }
  Tensor View(const std::string&) const override { return {}; }
};

UNetConfig PublishedConfig(int64_t channels, std::vector<double> mult, int64_t blocks,
                           std::vector<int64_t> attention, int64_t classes) {
  return {.out_channels = 6,
          .model_channels = channels,
          .channel_mult = std::move(mult),
          .num_res_blocks = blocks,
          .attention_resolutions = std::move(attention),
          .use_scale_shift_norm = true,
          .resblock_updown = true,
          .num_classes = classes};
}

// The model flags in the README of openai/guided-diffusion; attention is at image sizes 32, 16 and 8.
TEST(AdmPublished, AreKnownByTheirSizes) {
  const auto flags = [](const UNetConfig& config) {
    return adm::FlagsOf(adm::ConfigOf(NamesOfUNet(config), "no such card"));
  };
  const json of_64 = flags(PublishedConfig(192, {1, 2, 3, 4}, 3, {2, 4, 8}, 1000));
  EXPECT_EQ(of_64.at("image_size"), 64);
  EXPECT_EQ(of_64.at("num_head_channels"), 64);
  EXPECT_EQ(of_64.at("noise_schedule"), "cosine");
  EXPECT_EQ(of_64.at("use_new_attention_order"), true);
  EXPECT_EQ(of_64.at("attention_resolutions"), "32,16,8");
  const json of_128 = flags(PublishedConfig(256, {1, 1, 2, 3, 4}, 2, {4, 8, 16}, 1000));
  EXPECT_EQ(of_128.at("image_size"), 128);
  EXPECT_EQ(of_128.at("num_heads"), 4);
  EXPECT_EQ(of_128.at("class_cond"), true);
  const json of_256 = flags(PublishedConfig(256, {1, 1, 2, 2, 4, 4}, 2, {8, 16, 32}, 0));
  EXPECT_EQ(of_256.at("image_size"), 256);
  EXPECT_EQ(of_256.at("num_head_channels"), 64);
  EXPECT_EQ(of_256.at("noise_schedule"), "linear");
  EXPECT_EQ(of_256.at("learn_sigma"), true);
  const json of_512 = flags(PublishedConfig(256, {0.5, 1, 1, 2, 2, 4, 4}, 2, {16, 32, 64}, 1000));
  EXPECT_EQ(of_512.at("image_size"), 512);
  EXPECT_EQ(of_512.at("channel_mult"), "0.5,1,1,2,2,4,4");
  UNetConfig bedroom = PublishedConfig(256, {1, 1, 2, 2, 4, 4}, 2, {8, 16, 32}, 0);
  bedroom.out_channels = 3;
  bedroom.qkv_dims = 4;
  bedroom.use_scale_shift_norm = false;
  const json edm = flags(bedroom);
  EXPECT_EQ(edm.at("image_size"), 256);
  EXPECT_EQ(edm.at("sigma_max"), 80);
  EXPECT_FALSE(edm.contains("noise_schedule"));
}

}  // namespace
}  // namespace gas
