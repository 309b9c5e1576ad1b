// Sizes of published diffusion transformers, what cards say of others, and what is refused: contradictions,
// damaged and hostile files.
#include <fstream>

#include "gas/io/file.h"
#include "gas/io/safetensors.h"
#include "gas/io/torch_tensors.h"
#include "gas/models/dit/dit.h"
#include "gas/models/model.h"
#include "gas/nn/skeleton.h"
#include "gas/nn/weights.h"
#include "support/expect.h"
#include "support/fixtures.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

using nlohmann::json;
using testing::OwnFixture;
namespace fs = std::filesystem;

// Names and shapes of a network, as a file has them.
class ShapesOfDit : public TensorFile {
 public:
  explicit ShapesOfDit(const dit::Transformer& network) {
    name_ = "published.pt";
    for (const auto& item : network.named_parameters()) {
      tensors_[item.key()] = {torch::kFloat32, item.value().sizes().vec()};
    }
  }
  Tensor View(const std::string&) const override { return {}; }
};

// The numbers that facebookresearch/DiT prints for its models: nothing is allocated for them.
TEST(DitPublished, NetworksHaveTheirNumbersOfParameters) {
  struct Row {
    const char* name;
    int64_t input_size, parameters;
  };
  for (const Row& row : {Row{"DiT-XL/2", 32, 675129632}, {"SiT-XL/2", 32, 675129632}}) {
    const nn::SkeletonGuard skeleton;
    const auto word = dit::ParseModelWord(row.name);
    ASSERT_TRUE(word && word->sizes);
    dit::NetworkConfig config = *word->sizes;
    config.input_size = row.input_size;
    config.inner_width = 4 * config.width;
    const dit::Transformer network(config);
    EXPECT_EQ(nn::ParameterCount(network), row.parameters) << row.name;
    const dit::NetworkConfig shown = dit::NetworkOfWeights(ShapesOfDit(network));
    EXPECT_EQ(nn::ParameterCount(dit::Transformer(shown)), row.parameters);
    EXPECT_EQ(shown.heads, config.heads);
    EXPECT_EQ(shown.input_size, row.input_size);
  }
  EXPECT_EQ(dit::ParseModelWord("SiT-XL/2")->kind, dit::Kind::kSit);
  for (const char* wrong : {"", "DiT-", "DiT-XL", "DiT-XXL/2", "DiT-XL/", "DiT-XL/2x", "DiTs", "ViT-L/14"}) {
    EXPECT_FALSE(dit::ParseModelWord(wrong)) << wrong;
  }
}

class DitCard : public ::testing::Test {
 protected:
  void SetUp() override { fs::copy_file(OwnFixture("dit.pt"), path_); }
  void WriteCard(const json& card) { std::ofstream(path_.string() + ".json") << card; }
  Model Open(const ModelOptions& options = {}) const { return OpenModel(path_.string(), options); }
  void ExpectRefused(const std::string& key, const json& value, const std::string& message) {
    json card = card_;
    card[key] = value;
    WriteCard(card);
    EXPECT_ERROR(Open(), Errc::kBadFile, message);
  }
  std::map<std::string, Tensor> Weights() const {
    const TorchTensors weights(std::make_shared<TorchFile>(OwnFixture("dit.pt")));
    std::map<std::string, Tensor> tensors;
    for (const auto& item : weights.tensors()) tensors[item.first] = weights.View(item.first).clone();
    return tensors;
  }
  void ExpectWeightsRefused(const std::function<void(std::map<std::string, Tensor>&)>& change,
                            const std::string& message) {
    auto tensors = Weights();
    change(tensors);
    path_ = folder_.path() / "dit.safetensors";
    WriteSafetensors(path_, tensors, {});
    WriteCard(card_);
    EXPECT_ERROR(Open(), Errc::kBadFile, message);
  }

  testing::TempFolder folder_{"dit_card"};
  fs::path path_ = folder_.path() / "dit.pt";
  json card_ = {{"num_heads", 4}};
};

TEST_F(DitCard, WhatTheWeightsDoNotSayMustBeSaid) {
  EXPECT_ERROR(Open(), Errc::kBadFile,
               "the weights do not say num_heads, and 3 blocks of width 48 are no published");
  WriteCard(card_);
  EXPECT_EQ(Open().denoiser->prediction_type(), PredictionType::kNoise);  // by the file's name
  card_["model"] = "SiT";
  WriteCard(card_);
  EXPECT_EQ(Open().denoiser->prediction_type(), PredictionType::kFlow);
  card_.erase("model");
  const fs::path other = folder_.path() / "network.pt";
  fs::copy_file(path_, other);
  path_ = other;
  WriteCard(card_);
  EXPECT_ERROR(Open(), Errc::kBadFile,
               "the weights do not say whether they are DiT's or SiT's; write {\"model\"");
}

TEST_F(DitCard, ACardElsewhereIsNamed) {
  const fs::path card = folder_.path() / "elsewhere.json";
  std::ofstream(card) << json{{"num_heads", 3}};
  WriteCard(card_);
  EXPECT_EQ(json::parse(Open({.config = card.string()}).metadata.at("flags")).at("num_heads"), 3);
}

TEST_F(DitCard, ArgumentsOfItsTrainingOpenIt) {
  WriteCard(testing::Fixture("dit").json().at("arguments").at("config").at("num_heads") == 4
                ? json{{"model", "DiT"},
                       {"num_heads", 4},
                       {"num_classes", 10},
                       {"image_size", 64},
                       {"input_size", 8},
                       {"in_channels", 4},
                       {"patch_size", 2},
                       {"hidden_size", 48},
                       {"depth", 3},
                       {"mlp_ratio", 4.0},
                       {"learn_sigma", true},
                       {"path_type", "Linear"},
                       {"prediction", "velocity"},
                       {"scale_factor", 0.2}}
                : card_);
  const Model model = Open();
  EXPECT_EQ(model.classes, 10);
  EXPECT_EQ(json::parse(model.metadata.at("flags")).at("scale_factor"), 0.2);
}

TEST_F(DitCard, ARowForNoClassIsTheLast) {
  card_["num_classes"] = 11;
  WriteCard(card_);
  const Model model = Open();
  EXPECT_EQ(model.classes, 11);
  EXPECT_FALSE(model.conditioner->None());
  ExpectRefused("num_classes", 9, "num_classes = 9, must be the label table's 11 rows, or one less");
}

TEST_F(DitCard, ContradictionsAndUnknownKeysAreRefused) {
  ExpectRefused("num_heads", 0, "num_heads = 0, must be a whole number in [1, 16384]");
  ExpectRefused("num_heads", 5, "hidden_size = 48, must be a multiple of num_heads = 5");
  ExpectRefused("num_head", 4, "unknown key, did you mean num_heads?");
  ExpectRefused("model", "ViT", "model = \"ViT\", must be DiT or SiT");
  ExpectRefused("model", "DiT-XL/2", "but the weights have 3 blocks of width 48 on patches of 2");
  ExpectRefused("hidden_size", 64, "hidden_size = 64, but the weights have 48");
  ExpectRefused("depth", 4, "depth = 4, but the weights have 3");
  ExpectRefused("patch_size", 4, "patch_size = 4, but the weights have 2");
  ExpectRefused("image_size", 256, "image_size = 256, but the weights have 64");
  ExpectRefused("input_size", 32, "input_size = 32, but the weights have 8");
  ExpectRefused("in_channels", 3, "in_channels = 3, but the weights have 4");
  ExpectRefused("learn_sigma", false, "learn_sigma = false, but the weights have true");
  ExpectRefused("mlp_ratio", 2.0, "mlp_ratio = 2.0, but the weights have feed-forward layers of width 192");
  ExpectRefused("path_type", "GVP", "path_type = \"GVP\", must be Linear");
  ExpectRefused("prediction", "score", "prediction = \"score\", must be velocity");
  ExpectRefused("scale_factor", 0, "scale_factor = 0, must be positive");
  ExpectRefused("vae", "nowhere", "vae = \"nowhere\": no file or folder at ");
  WriteCard(json::array());
  EXPECT_ERROR(Open(), Errc::kBadFile, "not a JSON object");
}

TEST_F(DitCard, WeightsThatFitNoNetworkAreRefused) {
  ExpectWeightsRefused([](auto& w) { w.erase("blocks.1.attn.proj.bias"); },
                       "blocks.1.attn.proj.bias is missing");
  ExpectWeightsRefused([](auto& w) { w["stranger"] = torch::zeros({1}); },
                       "stranger is unknown to the network");
  ExpectWeightsRefused(
      [](auto& w) {
        w["blocks.2.mlp.fc2.weight"] = torch::zeros({48, 191});
      },
      "blocks.2.mlp.fc2.weight has shape [48, 191], the network needs [48, 192]");
  ExpectWeightsRefused(
      [](auto& w) {
        w["pos_embed"] = torch::zeros({1, 15, 48});
      },
      "pos_embed has shape [1, 15, 48], must be [1,N,width] for a square of N tokens");
  ExpectWeightsRefused(
      [](auto& w) {
        w["x_embedder.proj.weight"] = torch::zeros({48, 4, 2, 3});
      },
      "must be [width,channels,P,P]");
  ExpectWeightsRefused(
      [](auto& w) {
        w["final_layer.linear.weight"] = torch::zeros({31, 48});
      },
      "final_layer.linear.weight has 31 rows, must be a multiple of 4");
  ExpectWeightsRefused(
      [](auto& w) {
        w["final_layer.linear.weight"] = torch::zeros({20, 48});
        w["final_layer.linear.bias"] = torch::zeros({20});
      },
      "the network gives 5 channels for 4");
  ExpectWeightsRefused(
      [](auto& w) {
        w["t_embedder.mlp.0.weight"] = torch::zeros({48, 255});
      },
      "255 channels of the time embedding, must be an even number");
  ExpectWeightsRefused([](auto& w) { w["blocks.0.attn.qkv.weight"][0][0] = NAN; },
                       "entries that are not finite");
  ExpectWeightsRefused(
      [](auto& w) {
        w["y_embedder.embedding_table.weight"] = torch::zeros({1, 48});
      },
      "num_classes = 0, must be");
}

TEST_F(DitCard, FilesThatAreCutAreRefused) {
  WriteCard(card_);
  const Bytes whole = ReadFile(OwnFixture("dit.pt"));
  for (size_t percent = 0; percent < 100; ++percent) {
    SCOPED_TRACE(percent);
    WriteFile(path_, std::span(whole).first(whole.size() * percent / 100));
    EXPECT_ERROR(Open(), Errc::kBadFile, path_.string());
  }
}

}  // namespace
}  // namespace gas
