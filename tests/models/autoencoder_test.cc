// The first stages of latent diffusion against the reference's numbers.
#include "gas/io/mapped_safetensors.h"
#include "gas/io/torch_tensors.h"
#include "gas/io/yaml.h"
#include "gas/models/autoencoder/autoencoder_codec.h"
#include "gas/nn/skeleton.h"
#include "gas/nn/weights.h"
#include "support/expect.h"
#include "support/gradient.h"
#include "support/openai_unets.h"
#include "support/third_party_files.h"

namespace gas {
namespace {

using autoencoder::Autoencoder;
using autoencoder::AutoencoderCodec;
using autoencoder::AutoencoderConfig;
using autoencoder::ByTiles;
using autoencoder::Kind;
using testing::Close;
using testing::Fixture;
using testing::WithinTolerance;
using Json = nlohmann::json;

constexpr const char* kVqNames[] = {"ldm_uncond", "ldm_class"};

Json FirstStageOf(const std::filesystem::path& yaml) {
  return ReadYaml(yaml)["model"]["params"]["first_stage_config"];
}

std::string WithoutPrefix(const std::string& name) {
  constexpr std::string_view kPrefix = "first_stage_model.";
  return name.starts_with(kPrefix) ? name.substr(kPrefix.size()) : "";
}

std::shared_ptr<Autoencoder> Load(const AutoencoderConfig& config, const TensorFile& file) {
  std::shared_ptr<Autoencoder> network;
  {
    const nn::SkeletonGuard skeleton;
    network = std::make_shared<Autoencoder>(config);
  }
  nn::LoadWeights(*network, file, {.rename = WithoutPrefix});
  network->eval();
  return network;
}

std::shared_ptr<Autoencoder> LoadVq(const std::filesystem::path& base) {
  const std::string name = base.filename();
  const AutoencoderConfig config =
      autoencoder::AutoencoderConfigFromJson(name, FirstStageOf(base.string() + "_model.yaml"));
  const auto file = std::make_shared<const TorchFile>(base.string() + ".ckpt", UnknownClasses::kKeep);
  return Load(config, TorchTensors(file, {"state_dict"}));
}

// sum(v * decode(z)), and its gradient.
void CheckDecoding(const std::function<Tensor(const Tensor&)>& decode, const Fixture& fixture,
                   const std::string& image, const std::string& gradient) {
  SCOPED_TRACE(image);
  const Tensor z = fixture.at("z").clone().requires_grad_();
  const Tensor decoded = decode(z);
  EXPECT_TRUE(WithinTolerance(fixture, image, decoded.detach()));
  (fixture.at("v") * decoded).sum().backward();
  EXPECT_TRUE(WithinTolerance(fixture, gradient, z.grad()));
}

TEST(Autoencoder, VqDecodesAndEncodesAsTheReference) {
  for (const std::string name : kVqNames) {
    SCOPED_TRACE(name);
    const Fixture fixture(name);
    const auto network = LoadVq(testing::FixtureFolder() / name);
    CheckDecoding([&](const Tensor& z) { return network->Decode(z); }, fixture, "image", "grad_z");
    CheckDecoding([&](const Tensor& z) { return network->Decode(z, /*quantise=*/false); }, fixture,
                  "image_not_quantised", "grad_z_not_quantised");
    const torch::NoGradGuard no_gradient;
    // Tiny latents, which show the epsilon of the normalisations.
    EXPECT_TRUE(WithinTolerance(fixture, "image_small", network->Decode(fixture.at("z_small"), false)));
    EXPECT_TRUE(WithinTolerance(fixture, "enc_latent", network->Encode(fixture.at("enc_image"))));
    EXPECT_TRUE(WithinTolerance(fixture, "sample.images",
                                network->Decode(fixture.at("sample.latents").slice(0, 0, 1))));
  }
}

TEST(Autoencoder, CodesAreTheNearest) {
  for (const std::string name : kVqNames) {
    SCOPED_TRACE(name);
    const Fixture fixture(name);
    autoencoder::Codebook codebook(fixture.at("codebook").size(0), fixture.at("codebook").size(1));
    codebook.named_parameters()["embedding.weight"].set_data(fixture.at("codebook").clone());
    EXPECT_TRUE(codebook.Indices(fixture.at("z")).equal(fixture.at("indices")));
    EXPECT_TRUE(Close(codebook.Quantise(fixture.at("z")).detach(), fixture.at("quantised"), 1e-6, 0));
  }
}

// More vectors than are compared with the codes at once.
TEST(Autoencoder, ManyVectorsFindTheirCodesInParts) {
  torch::manual_seed(1);
  const autoencoder::Codebook codebook(1 << 15, 2);
  const Tensor latents = torch::randn({1, 2, 30, 40});
  const Tensor all = codebook.Indices(latents);
  for (const int64_t row : {0, 12, 13, 29}) {
    EXPECT_TRUE(codebook.Indices(latents.slice(2, row, row + 1)).equal(all.slice(1, row, row + 1))) << row;
  }
}

// Stable Diffusion's, with its scale of latents.
TEST(Autoencoder, KlDecodesAndEncodesAsTheReference) {
  const auto weights = testing::ThirdPartyFile("sd1_checkpoint.safetensors");
  SKIP_WITHOUT_FILE(weights, "sd1_checkpoint.safetensors");
  const Fixture fixture("../" + std::filesystem::relative(weights->parent_path() / "sd1",
                                                          testing::FixtureFolder().parent_path())
                                    .string());
  const auto network = Load(
      autoencoder::AutoencoderConfigFromJson("sd1", FirstStageOf(weights->parent_path() / "sd1_model.yaml")),
      MappedSafetensors(*weights));
  const double scale = fixture.json().at("arguments").at("scale_factor");
  const AutoencoderCodec codec(network, {.scale = scale});
  CheckDecoding([&](const Tensor& z) { return codec.Decode(z); }, fixture, "image", "grad_z");
  const torch::NoGradGuard no_gradient;
  EXPECT_TRUE(WithinTolerance(fixture, "image_small", codec.Decode(fixture.at("z_small"))));
  EXPECT_TRUE(WithinTolerance(fixture, "sample.images", codec.Decode(fixture.at("sample.latents"))));
  EXPECT_TRUE(WithinTolerance(fixture, "enc_mean", codec.Encode(fixture.at("enc_image")) / scale));
}

TEST(Autoencoder, TheCodecDividesByTheScaleAndMultipliesByIt) {
  const Fixture fixture(testing::OwnFixture("ldm_uncond").string());
  const auto network = LoadVq(testing::OwnFixture("ldm_uncond"));
  const torch::NoGradGuard no_gradient;
  const AutoencoderCodec plain(network, {}), scaled(network, {.scale = 0.25});
  const Tensor z = fixture.at("z");
  EXPECT_TRUE(WithinTolerance(fixture, "image", plain.Decode(z)));
  EXPECT_TRUE(scaled.Decode(0.25 * z).equal(plain.Decode(z)));
  const Tensor image = fixture.at("enc_image");
  EXPECT_TRUE(scaled.Encode(image).equal(0.25 * plain.Encode(image)));
  EXPECT_ERROR(plain.Encode(image.slice(2, 1)), Errc::kBadOption,
               "images of shape [2, 3, 31, 32], must be [B,3,H,W] with H and W multiples of 4");
}

// float16 has not the range of SDXL's decoder.
TEST(Autoencoder, Float16DecodesInFloat32) {
  const Fixture fixture(testing::OwnFixture("ldm_uncond").string());
  const auto network = LoadVq(testing::OwnFixture("ldm_uncond"));
  const torch::NoGradGuard no_gradient;
  const AutoencoderCodec exact(network, {}), half(network, {.dtype = torch::kFloat16});
  EXPECT_TRUE(half.Decode(fixture.at("z")).equal(exact.Decode(fixture.at("z"))));
}

// Far from a seam only the statistics of the normalisations tell tiles from the whole.
TEST(Autoencoder, LatentsUpToTheTileAreDecodedWhole) {
  const auto network = LoadVq(testing::OwnFixture("ldm_uncond"));
  const torch::NoGradGuard no_gradient;
  torch::manual_seed(2);
  const Tensor z = torch::randn({1, 3, 8, 12});
  const AutoencoderCodec whole(network, {}), fits(network, {.tiles = {.side = 12, .overlap = 4}}),
      tiled(network, {.tiles = {.side = 8, .overlap = 4}});
  EXPECT_TRUE(fits.Decode(z).equal(whole.Decode(z)));
  EXPECT_EQ(tiled.Decode(z).sizes(), whole.Decode(z).sizes());
  EXPECT_FALSE(Close(tiled.Decode(z), whole.Decode(z), 1e-3, 0));
}

// With a decoder that looks at each position alone, tiles give what the whole gives, and so do gradients.
TEST(Tiles, TogetherAreTheWhole) {
  torch::manual_seed(3);
  const auto decode = [](const Tensor& map) {
    return torch::upsample_nearest2d(map.sin(), {2 * map.size(2), 2 * map.size(3)});
  };
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{8, 8}, {9, 8}, {8, 21}, {23, 17}}) {
    SCOPED_TRACE(std::to_string(height) + " x " + std::to_string(width));
    const Tensor map = torch::randn({2, 3, height, width}, torch::kFloat64).requires_grad_();
    const Tensor other = map.detach().clone().requires_grad_();
    const Tensor weights = torch::randn({2, 3, 2 * height, 2 * width}, torch::kFloat64);
    const Tensor tiled = ByTiles(map, 2, {.side = 8, .overlap = 3}, decode);
    EXPECT_TRUE(Close(tiled.detach(), decode(other).detach(), 1e-12, 0));
    (weights * tiled).sum().backward();
    (weights * decode(other)).sum().backward();
    EXPECT_TRUE(Close(map.grad(), other.grad(), 1e-12, 0));
  }
}

TEST(Tiles, NeighboursBlendLinearlyAndNoTileIsLarger) {
  int64_t tiles = 0;
  const auto number = [&](const Tensor& map) {
    EXPECT_LE(std::max(map.size(2), map.size(3)), 4);
    return torch::full_like(map, static_cast<double>(tiles++));
  };
  const Tensor image = ByTiles(torch::zeros({1, 1, 1, 6}), 1, {.side = 4, .overlap = 2}, number);
  EXPECT_EQ(tiles, 2);
  EXPECT_TRUE(Close(image.flatten(), torch::tensor({0., 0., .25, .75, 1., 1.}).to(torch::kFloat32), 1e-6, 0));
}

// A first stage of CompVis/latent-diffusion at a506df5, models/first_stage_models/NAME/config.yaml.
// `parameters` is the count of that repository's own classes (ldm/models/autoencoder.py, without the loss),
// built by PyTorch 2.15 on the meta device; the codebook is that of taming-transformers, [n_embed,embed_dim].
struct PublishedFirstStage {
  const char* name;
  const char* target;
  int64_t channels;  // embed_dim and z_channels
  int64_t codes;
  std::vector<int64_t> mult, attention;
  int64_t parameters;
};

const PublishedFirstStage kPublishedFirstStages[] = {
    {"vq-f4", "ldm.models.autoencoder.VQModel", 3, 8192, {1, 2, 4}, {}, 55322782},
    {"vq-f8", "ldm.models.autoencoder.VQModel", 4, 16384, {1, 2, 2, 4}, {32}, 67717295},
    {"vq-f8-n256", "ldm.models.autoencoder.VQModel", 4, 256, {1, 2, 2, 4}, {32}, 67652783},
    {"vq-f16", "ldm.models.autoencoder.VQModel", 8, 16384, {1, 1, 2, 2, 4}, {16}, 69593371},
    {"kl-f4", "ldm.models.autoencoder.AutoencoderKL", 3, 0, {1, 2, 4}, {}, 55312063},
    {"kl-f8", "ldm.models.autoencoder.AutoencoderKL", 4, 0, {1, 2, 4, 4}, {}, 83653863},
    {"kl-f16", "ldm.models.autoencoder.AutoencoderKL", 16, 0, {1, 1, 2, 2, 4}, {16}, 69610963},
    {"kl-f32", "ldm.models.autoencoder.AutoencoderKL", 64, 0, {1, 1, 2, 2, 4, 4}, {16, 8}, 103880131},
};

Json ConfigurationOf(const PublishedFirstStage& stage) {
  Json params = {{"embed_dim", stage.channels},
                 {"monitor", "val/rec_loss"},
                 {"ddconfig",
                  {{"double_z", stage.codes == 0},
                   {"z_channels", stage.channels},
                   {"resolution", 256},
                   {"in_channels", 3},
                   {"out_ch", 3},
                   {"ch", 128},
                   {"ch_mult", stage.mult},
                   {"num_res_blocks", 2},
                   {"attn_resolutions", stage.attention},
                   {"dropout", 0.0}}}};
  if (stage.codes > 0) params["n_embed"] = stage.codes;
  return {{"target", stage.target}, {"params", std::move(params)}};
}

TEST(Autoencoder, PublishedOnesHaveTheirNumberOfParameters) {
  const nn::SkeletonGuard skeleton;
  for (const PublishedFirstStage& stage : kPublishedFirstStages) {
    SCOPED_TRACE(stage.name);
    const auto config = autoencoder::AutoencoderConfigFromJson(stage.name, ConfigurationOf(stage));
    EXPECT_EQ(nn::ParameterCount(Autoencoder(config)), stage.parameters);
    EXPECT_EQ(config.factor(), int64_t{1} << (stage.mult.size() - 1));
  }
}

TEST(Autoencoder, AttentionIsWhereTheTrainingImagesHaveThatSide) {
  const nn::SkeletonGuard skeleton;
  const Autoencoder network(
      {.width = 32, .channel_mult = {1, 2, 1}, .blocks = 1, .resolution = 64, .attn_resolutions = {16}});
  const auto names = network.named_parameters();
  EXPECT_TRUE(names.contains("encoder.down.2.attn.0.q.weight"));
  EXPECT_TRUE(names.contains("decoder.up.2.attn.1.proj_out.bias"));
  EXPECT_FALSE(names.contains("encoder.down.1.attn.0.q.weight"));
}

TEST(Autoencoder, ConfigurationsThatCannotBeFollowedAreRefused) {
  const Json good = FirstStageOf(testing::OwnFixture("ldm_uncond_model.yaml"));
  EXPECT_EQ(autoencoder::AutoencoderConfigFromJson("x", good).codes, good["params"]["n_embed"]);
  const auto with = [&](const char* pointer, const Json& value) {
    Json changed = good;
    changed[Json::json_pointer(pointer)] = value;
    return changed;
  };
  const auto read = [](const Json& json) { return autoencoder::AutoencoderConfigFromJson("x", json); };
  EXPECT_ERROR(read(with("/target", "a.IdentityFirstStage")), Errc::kBadFile,
               "x.target = \"a.IdentityFirstStage\"");
  EXPECT_ERROR(read(with("/params/ddconfig/ch", 48)), Errc::kBadFile, "x: ch = 48, must be a multiple of 32");
  EXPECT_ERROR(read(with("/params/ddconfig/double_z", true)), Errc::kBadFile,
               "x.params.ddconfig.double_z = true, must be false");
  EXPECT_ERROR(read(with("/params/ddconfig/attn_type", "none")), Errc::kBadFile, "attn_type");
  EXPECT_ERROR(read(with("/params/ddconfig/ch_mult", Json::array())), Errc::kBadFile,
               "number of ch_mult = 0");
  EXPECT_ERROR(read(with("/params/ddconfig/num_res_blocks", 1.5)), Errc::kBadFile, "num_res_blocks = 1.5");
  EXPECT_ERROR(read(with("/params/embed_dim", nullptr)), Errc::kBadFile, "embed_dim = null");
  Json missing = good;
  missing["params"].erase("n_embed");
  EXPECT_ERROR(read(missing), Errc::kBadFile, "x.params has no n_embed");
  EXPECT_ERROR(read(Json("text")), Errc::kBadFile, "x is not a mapping");
}

}  // namespace
}  // namespace gas
