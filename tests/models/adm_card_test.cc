// What the card beside a network of guided-diffusion says, and what is refused: contradictions, damaged and
// hostile files.
#include "gas/io/file.h"
#include "gas/models/adm/config.h"
#include "gas/models/openai_unet/weights_config.h"
#include "gas/schedule/alphas_cumprod.h"
#include "models/adm_file.h"
#include "support/expect.h"

namespace gas {
namespace {

namespace fs = std::filesystem;

using nlohmann::json;
using testing::AdmFile;
using testing::Fixture;

class AdmCard : public AdmFile {
 protected:
  void SetUp() override { Take("adm_class.pt", flags_); }
  void ExpectRefused(const std::string& flag, const json& value, const std::string& message) {
    json card = flags_;
    card[flag] = value;
    WriteCard(card);
    EXPECT_ERROR(Open(), Errc::kBadFile, message);
  }
  Fixture fixture_{"adm"};
  json flags_ = fixture_.json().at("arguments").at("flags_class");
};

TEST_F(AdmCard, TheFlagsOfItsTrainingOpenIt) {
  const Model model = Open();
  const json flags = json::parse(model.metadata.at("flags"));
  for (const auto& [name, value] : flags_.items()) EXPECT_EQ(flags.at(name), value) << name;
}

TEST_F(AdmCard, WhatItSaysOfTheProcessIsTaken) {
  json card = flags_;
  card["noise_schedule"] = "cosine";
  card["predict_xstart"] = true;
  card["diffusion_steps"] = 50;
  WriteCard(card);
  const Model model = Open();
  EXPECT_EQ(model.denoiser->prediction_type(), PredictionType::kData);
  EXPECT_EQ(model.schedule->timesteps(), 50);
  const Tensor alphas = CosineAlphasCumprod(50);
  EXPECT_NEAR(std::pow(model.schedule->Alpha(0.5), 2), alphas[24].item<double>(), 1e-12);
}

TEST_F(AdmCard, ContradictionsAndUnknownFlagsAreRefused) {
  ExpectRefused("num_channels", 8, "num_channels = 8, but the weights have ");
  ExpectRefused("channel_mult", "1,7", "channel_mult = \"1,7\", but the weights have ");
  ExpectRefused("attention_resolutions", "", "attention_resolutions = \"\", but the weights have ");
  ExpectRefused("class_cond", false, "class_cond = false, but the weights have true");
  ExpectRefused("learn_sigma", false, "learn_sigma = false, but the weights have true");
  ExpectRefused("use_scale_shift_norm", false, "use_scale_shift_norm = false, but the weights have true");
  ExpectRefused("noise_shedule", "linear", "unknown flag, did you mean noise_schedule?");
  ExpectRefused("num_res_block", 1, "unknown flag, did you mean num_res_blocks?");
  ExpectRefused("noise_schedule", "sine", "noise_schedule = \"sine\", must be linear or cosine");
  ExpectRefused("num_head_channels", 7, "which num_head_channels = 7 does not divide");
  ExpectRefused("sigma_min", 0.1, "sigma_min: a flag of EDM networks, which this is not");
}

TEST_F(AdmCard, ImagesMustBeHalvedAtEveryLevel) {
  WriteCard({{"image_size", 9}, {"num_head_channels", flags_.at("num_head_channels")}});
  EXPECT_ERROR(Open(), Errc::kBadFile, "image_size = 9, must be a multiple of ");
}

TEST_F(AdmCard, WithoutItAnUnpublishedNetworkAsksForIt) {
  fs::remove(path_.string() + ".json");
  EXPECT_ERROR(Open(), Errc::kBadFile, "the weights do not say image_size, and it is no published network");
  WriteCard({{"image_size", flags_.at("image_size")}});
  EXPECT_ERROR(Open(), Errc::kBadFile, "do not say num_head_channels or num_heads");
}

TEST_F(AdmCard, DamagedWeightsAreRefusedByName) {
  const auto refused = [&](const std::function<void(std::map<std::string, Tensor>&)>& change,
                           const std::string& message) {
    const fs::path whole = path_;
    Rewrite(change, flags_);
    EXPECT_ERROR(Open(), Errc::kBadFile, message);
    path_ = whole;
  };
  refused([](auto& w) { w.erase("middle_block.0.in_layers.0.bias"); },
          "tensor middle_block.0.in_layers.0.bias is missing");
  refused([](auto& w) { w["middle_block.2.in_layers.0.bias"] = torch::zeros({5}); },
          "tensor middle_block.2.in_layers.0.bias has shape [5], the network needs ");
  refused([](auto& w) { w["more.weight"] = torch::zeros({5}); },
          "tensor more.weight is unknown to the network");
  refused(
      [](auto& w) {
        w["out.2.weight"] = torch::zeros({4, w.at("out.2.weight").size(1), 3, 3});
      },
      "the network gives 4 channels for 3");
  refused(
      [](auto& w) {
        Tensor& first = w.at("input_blocks.0.0.weight");
        first = torch::zeros({first.size(0), 6, 3, 3});
      },
      "the network takes 6 channels, must be 3 (networks that enlarge images are not read)");
  refused([](auto& w) { w.erase("input_blocks.1.0.out_layers.3.weight"); },
          "tensor input_blocks.1.0.out_layers.3.weight is missing");
  refused([](auto& w) { w["time_embed.0.weight"] = torch::zeros({0, 0}); }, "time_embed.0.weight");
}

TEST_F(AdmCard, AFileCutOffAtEveryHundredthIsRefused) {
  const Bytes whole = ReadFile(path_);
  for (size_t percent = 0; percent < 100; ++percent) {
    SCOPED_TRACE(percent);
    WriteFile(path_, std::span(whole).first(whole.size() * percent / 100));
    EXPECT_ERROR(Open(), Errc::kBadFile, path_.string());
  }
  WriteFile(path_, whole);
  EXPECT_EQ(Open().family, "adm");
}

// Of every tensor that says something of the sizes, and of some others.
TEST_F(AdmCard, ShapesThatLieAndNamesThatAreMissingAreRefused) {
  const fs::path whole = path_;
  std::vector<std::string> names;
  {
    const TorchTensors weights(std::make_shared<TorchFile>(whole));
    for (const auto& item : weights.tensors()) names.push_back(item.first);
  }
  ASSERT_GT(names.size(), 50u);
  const auto refused = [&](const std::string& name,
                           const std::function<void(std::map<std::string, Tensor>&)>& lie) {
    SCOPED_TRACE(name);
    path_ = whole;
    Rewrite(lie, flags_);
    EXPECT_ERROR(Open(), Errc::kBadFile, path_.string());
  };
  for (size_t i = 0; i < names.size(); i += 7) {
    const std::string& name = names[i];
    refused(name, [&](auto& w) { w.erase(name); });
    refused(name, [&](auto& w) { w[name] = torch::cat({w[name], w[name]}); });
    refused(name, [&](auto& w) { w[name] = w[name].flatten().slice(0, 1); });
  }
  for (const char* name :
       {"time_embed.0.weight", "input_blocks.0.0.weight", "out.2.weight", "label_emb.weight",
        "middle_block.1.qkv.weight", "input_blocks.1.0.emb_layers.1.weight"}) {
    refused(name, [&](auto& w) { w[name] = w[name].slice(0, 0, 0).clone(); });
    refused(name, [&](auto& w) { w[name] = torch::zeros({1}); });
  }
}

// Names alone, as a file that lies about its contents would have them.
class NamesAlone : public TensorFile {
 public:
  explicit NamesAlone(std::map<std::string, std::vector<int64_t>> shapes) {
    name_ = "names";
    for (auto& [name, shape] : shapes) tensors_[name] = {torch::kFloat32, std::move(shape)};
  }
  Tensor View(const std::string&) const override { return torch::zeros({1}); }
};

std::map<std::string, std::vector<int64_t>> DeepNetwork(int64_t levels) {
  std::map<std::string, std::vector<int64_t>> shapes = {{"time_embed.0.weight", {4, 1}},
                                                        {"input_blocks.0.0.weight", {1, 3, 3, 3}},
                                                        {"middle_block.1.qkv.weight", {3, 1, 1}},
                                                        {"out.2.weight", {3, 1, 3, 3}}};
  for (int64_t level = 0; level < levels; ++level) {
    const std::string at = std::to_string(2 * level), next = std::to_string(2 * level + 1);
    shapes["output_blocks." + at + ".0.in_layers.0.weight"] = {1};
    shapes["output_blocks." + next + ".0.in_layers.0.weight"] = {1};
    if (level + 1 < levels) shapes["output_blocks." + next + ".1.conv.weight"] = {1, 1, 3, 3};
    shapes["input_blocks." + std::to_string(1 + 2 * level) + ".0.out_layers.3.weight"] = {1, 1, 3, 3};
    shapes["input_blocks." + std::to_string(1 + 2 * level) + ".0.emb_layers.1.weight"] = {2, 4};
  }
  return shapes;
}

TEST(AdmNames, LevelsAreNoMoreThanImagesCanBeHalved) {
  EXPECT_EQ(openai_unet::ConfigOfWeights(NamesAlone(DeepNetwork(3))).levels(), 3);
  EXPECT_ERROR(openai_unet::ConfigOfWeights(NamesAlone(DeepNetwork(70))), Errc::kBadFile,
               "its decoder has 70 levels, must be at most 30");
}

TEST(AdmNames, ShapesWithAnEmptyDimensionAreRefused) {
  auto shapes = DeepNetwork(1);
  shapes["out.2.weight"] = {int64_t{1} << 62, 0, 3, 3};
  EXPECT_ERROR(openai_unet::ConfigOfWeights(NamesAlone(shapes)), Errc::kBadFile,
               "tensor out.2.weight has shape");
}

TEST_F(AdmCard, FilesOfOtherNetworksAreOfNoFamily) {
  Rewrite([](auto& w) { w.erase("out.2.weight"); }, flags_);
  EXPECT_ERROR(Open(), Errc::kBadFile, "not a model that this program knows");
}

}  // namespace
}  // namespace gas
