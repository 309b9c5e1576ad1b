// OpenAI's U-Net against guided-diffusion, the consistency models and latent diffusion: outputs and gradients
// of every network of the fixtures.
#include "gas/io/torch_tensors.h"
#include "gas/models/openai_unet/unet.h"
#include "gas/nn/skeleton.h"
#include "gas/nn/weights.h"
#include "support/expect.h"
#include "support/openai_unets.h"

namespace gas {
namespace {

using openai_unet::Told;
using openai_unet::UNet;
using openai_unet::UNetConfig;
using testing::Fixture;
using testing::WithinTolerance;

std::shared_ptr<UNet> SkeletonUNet(const UNetConfig& config) {
  const nn::SkeletonGuard skeleton;
  return std::make_shared<UNet>(config);
}

// Output and gradients of sum(w * output) by x and t, in both precisions and layouts. `suffix` stands behind
// the names of the tensors.
void CheckUNet(const Fixture& fixture, UNet& network, const std::string& prefix, const std::string& output,
               const std::string& suffix, const Told& told) {
  SCOPED_TRACE(prefix + suffix);
  const auto check = [&](const std::string& name, const Tensor& actual, bool wide) {
    const std::string full = prefix + name + suffix + (wide ? ".f64" : "");
    if (!fixture.Has(full)) return;
    EXPECT_TRUE(WithinTolerance(fixture, full, actual)) << full;
  };
  constexpr auto kFirst = torch::MemoryFormat::Contiguous, kLast = torch::MemoryFormat::ChannelsLast;
  for (const auto& [layout, wide] :
       {std::pair{kFirst, false}, std::pair{kLast, false}, std::pair{kLast, true}}) {
    const auto dtype = wide ? torch::kFloat64 : torch::kFloat32;
    network.to(dtype);
    const Tensor x = fixture.at("x").to(dtype).contiguous(layout).clone().requires_grad_();
    Told here = told;
    here.timesteps = told.timesteps.to(dtype).clone().requires_grad_();
    if (told.context.defined()) here.context = told.context.to(dtype);
    const Tensor y = network.forward(x, here);
    ASSERT_TRUE(fixture.Has(prefix + output + suffix));
    check(output, y, wide);
    (y * fixture.at("w").to(dtype)).sum().backward();
    check("grad_x", x.grad(), wide);
    check("grad_t", here.timesteps.grad(), wide);
  }
  network.to(torch::kFloat32);
}

// A network of guided-diffusion's file `name` by its fixture's configuration; null where the file is not
// there.
std::shared_ptr<UNet> AdmNetwork(const Fixture& fixture, const std::string& kind, const std::string& name) {
  const auto path = testing::WeightFile(name);
  if (path.empty()) return nullptr;
  auto network = SkeletonUNet(testing::AdmConfigOf(fixture.json(), kind));
  nn::LoadWeights(*network, TorchTensors(std::make_shared<TorchFile>(path)));
  return network;
}

TEST(OpenaiUNet, GuidedDiffusionsOutputsAndGradients) {
  const Fixture fixture("adm");
  for (const std::string name : {"class", "uncond"}) {
    const auto network = AdmNetwork(fixture, name == "class" ? "cls" : "unc", "adm_" + name + ".pt");
    if (network == nullptr) GTEST_SKIP() << "adm_" << name << ".pt is not there";
    const Tensor labels = name == "class" ? fixture.at("y") : Tensor();
    for (int i = 0; fixture.Has("t" + std::to_string(i)); ++i) {
      CheckUNet(fixture, *network, name + std::to_string(i) + ".", "out", "",
                {.timesteps = fixture.at("t" + std::to_string(i)), .labels = labels});
    }
    // Small inputs, which the epsilon of the normalisation is seen in.
    const torch::NoGradGuard no_grad;
    const Tensor small =
        network->forward(0.002 * fixture.at("x"), {.timesteps = fixture.at("t0"), .labels = labels});
    EXPECT_TRUE(WithinTolerance(fixture, name + "_small.out", small));
  }
}

TEST(OpenaiUNet, ConsistencyModelsOutputs) {
  const Fixture fixture("adm_edm");
  const auto network = AdmNetwork(fixture, "edm", "adm_edm.pt");
  if (network == nullptr) GTEST_SKIP() << "adm_edm.pt is not there";
  CheckUNet(fixture, *network, "raw.", "out", "", {.timesteps = fixture.at("raw.t")});
}

// The network's name of a tensor of a checkpoint of latent diffusion: of the moving average, whose names have
// no dots, or of the network as it was trained.
std::string LdmName(const std::map<std::string, std::string>& names_without_dots, bool ema,
                    const std::string& in_file) {
  const std::string raw_prefix = "model.diffusion_model.", ema_prefix = "model_ema.diffusion_model";
  if (!ema) return in_file.starts_with(raw_prefix) ? in_file.substr(raw_prefix.size()) : "";
  return in_file.starts_with(ema_prefix) ? names_without_dots.at(in_file.substr(ema_prefix.size())) : "";
}

std::shared_ptr<UNet> LdmNetwork(const Fixture& fixture, const std::filesystem::path& path, bool ema) {
  auto network = SkeletonUNet(testing::LdmConfigOf(fixture.json()));
  std::map<std::string, std::string> names_without_dots;
  for (const auto& parameter : network->named_parameters()) {
    std::string name = parameter.key();
    std::erase(name, '.');
    names_without_dots[name] = parameter.key();
  }
  const auto file = std::make_shared<TorchFile>(path, UnknownClasses::kKeep);
  nn::LoadWeights(*network, TorchTensors(file, {"state_dict"}), {.rename = [&](const std::string& in_file) {
    return LdmName(names_without_dots, ema, in_file);
  }});
  return network;
}

TEST(OpenaiUNet, LatentDiffusionsOutputsAndGradients) {
  const Fixture fixture("ldm_uncond");
  const auto path = testing::WeightFile("ldm_uncond.ckpt");
  if (path.empty()) GTEST_SKIP() << "ldm_uncond.ckpt is not there";
  const auto network = LdmNetwork(fixture, path, /*ema=*/true);
  for (int i = 0; fixture.Has("unet" + std::to_string(i) + ".t"); ++i) {
    const std::string prefix = "unet" + std::to_string(i) + ".";
    CheckUNet(fixture, *network, prefix, "eps", "", {.timesteps = fixture.at(prefix + "t")});
  }
  const torch::NoGradGuard no_grad;
  const Told told{.timesteps = fixture.at("unet0.t")};
  EXPECT_TRUE(WithinTolerance(fixture, "unet_small.eps", network->forward(fixture.at("unet_small.x"), told)));
  const auto raw = LdmNetwork(fixture, path, /*ema=*/false);
  const double atol = fixture.json().at("tolerance").at("atol").at("unet0.eps");
  const Tensor from_raw = raw->forward(fixture.at("x"), told);
  EXPECT_TRUE(testing::Close(from_raw, fixture.at("unet0.eps_raw_weights"), 0, atol));
}

TEST(OpenaiUNet, LatentDiffusionsTransformersTakeTheirContext) {
  const Fixture fixture("ldm_class");
  const auto path = testing::WeightFile("ldm_class.ckpt");
  if (path.empty()) GTEST_SKIP() << "ldm_class.ckpt is not there";
  const auto network = LdmNetwork(fixture, path, /*ema=*/false);
  for (int i = 0; fixture.Has("unet" + std::to_string(i) + ".t"); ++i) {
    const std::string prefix = "unet" + std::to_string(i) + ".";
    for (const std::string side : {"cond", "uncond"}) {
      CheckUNet(fixture, *network, prefix, "eps", "." + side,
                {.timesteps = fixture.at(prefix + "t"), .context = fixture.at(side)});
    }
  }
  const torch::NoGradGuard no_grad;
  const Tensor small = network->forward(fixture.at("unet_small.x"),
                                        {.timesteps = fixture.at("unet0.t"), .context = fixture.at("cond")});
  EXPECT_TRUE(WithinTolerance(fixture, "unet_small.eps", small));
}

double Millions(const UNetConfig& config) {
  return static_cast<double>(nn::ParameterCount(*SkeletonUNet(config))) / 1e6;
}

// The README of guided-diffusion and the paper's table 4 (552.8 M), the paper of latent diffusion's table 13
// (400 M with its class embedding), and the configurations of their repositories.
TEST(OpenaiUNet, PublishedOnesHaveTheirNumberOfParameters) {
  UNetConfig adm{.out_channels = 6,
                 .model_channels = 256,
                 .channel_mult = {1, 1, 2, 2, 4, 4},
                 .attention_resolutions = {8, 16, 32},
                 .num_head_channels = 64,
                 .use_scale_shift_norm = true,
                 .resblock_updown = true};
  EXPECT_NEAR(Millions(adm), 552.8, 0.05);
  adm.num_classes = 1000;
  EXPECT_NEAR(Millions(adm), 553.8, 0.05);
  adm.channel_mult = {0.5, 1, 1, 2, 2, 4, 4};
  adm.attention_resolutions = {16, 32, 64};
  EXPECT_NEAR(Millions(adm), 559, 0.5);
  const UNetConfig imagenet{.model_channels = 192,
                            .channel_mult = {1, 2, 3, 5},
                            .attention_resolutions = {8, 4, 2},
                            .use_spatial_transformer = true,
                            .context_dim = 512};
  EXPECT_NEAR(Millions(imagenet), 400.9, 0.05);
  const UNetConfig bedrooms{.model_channels = 224,
                            .channel_mult = {1, 2, 3, 4},
                            .attention_resolutions = {8, 4, 2},
                            .num_head_channels = 32};
  EXPECT_NEAR(Millions(bedrooms), 274.1, 0.05);
}

UNetConfig Small() {
  return {.model_channels = 32, .channel_mult = {1, 2}, .num_res_blocks = 1, .num_classes = 3};
}

// A row of -1 among labels is as if the network had been given none.
TEST(OpenaiUNet, NoLabelIsNoEmbedding) {
  torch::manual_seed(3);
  UNet network(Small());
  const torch::NoGradGuard no_grad;
  const Tensor x = torch::randn({2, 3, 4, 4}), t = torch::tensor({3.0f, 700.5f});
  const Tensor none = network.forward(x, {.timesteps = t});
  const Tensor mixed = network.forward(x, {.timesteps = t, .labels = torch::tensor({-1, 2})});
  EXPECT_TRUE(testing::Close(mixed[0], none[0], 1e-5, 0));
  EXPECT_FALSE(testing::Close(mixed[1], none[1], 1e-3, 0));
}

TEST(OpenaiUNet, FeaturesAreTheEncodersStages) {
  UNet network(Small());
  const auto maps = network.EncoderFeatures(torch::randn({1, 3, 8, 8}), {.timesteps = torch::zeros({1})});
  std::vector<std::vector<int64_t>> shapes;
  for (const Tensor& map : maps) shapes.push_back(map.sizes().vec());
  const std::vector<std::vector<int64_t>> expected = {
      {1, 32, 8, 8}, {1, 32, 8, 8}, {1, 32, 4, 4}, {1, 64, 4, 4}};
  EXPECT_EQ(shapes, expected);
}

TEST(OpenaiUNet, RefusesWhatCannotBe) {
  UNetConfig config = Small();
  config.channel_mult = {1, 1.1};
  EXPECT_ERROR(UNet{config}, Errc::kBadOption,
               "level 1 has 35 channels, must be a multiple of its 32 groups");
  config = Small();
  config.num_head_channels = 48;
  EXPECT_ERROR(UNet{config}, Errc::kBadOption,
               "attention over 64 channels, which num_head_channels = 48 does not divide");
  config = Small();
  config.num_res_blocks = 0;
  EXPECT_ERROR(UNet{config}, Errc::kBadOption, "num_res_blocks = 0, must be in [1, 64]");
  UNet network(Small());
  const Tensor t = torch::zeros({1}), x = torch::zeros({1, 3, 4, 4});
  EXPECT_ERROR(network.forward(torch::zeros({1, 3, 5, 4}), {.timesteps = t}), Errc::kBadOption,
               "must be [B, 3, H, W] with H and W multiples of 2");
  EXPECT_ERROR(network.forward(x, {.timesteps = torch::zeros({2})}), Errc::kBadOption, "must be [1]");
  EXPECT_ERROR(network.forward(x, {.timesteps = t, .labels = torch::tensor({3})}), Errc::kBadOption,
               "class label 3, must be in [-1, 2]");
  EXPECT_ERROR(network.forward(x, {.timesteps = t, .context = x}), Errc::kBadOption,
               "a context is given to a network without one");
}

}  // namespace
}  // namespace gas
