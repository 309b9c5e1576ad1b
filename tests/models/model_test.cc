#include "gas/models/model.h"

#include <nlohmann/json.hpp>

#include "gas/io/file.h"
#include "gas/io/safetensors.h"
#include "gas/models/edm/edm_family.h"
#include "gas/models/families.h"
#include "gas/models/guidance.h"
#include "gas/models/network_input.h"
#include "gas/nn/product_dtype.h"
#include "support/expect.h"
#include "support/networks.h"

namespace gas {
namespace {

class ModelFile : public ::testing::Test {
 protected:
  void SetUp() override {
    const ::testing::TestInfo* info = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::temp_directory_path() / (std::string("gas_model_") + info->name());
    std::filesystem::create_directories(folder_);
    path_ = folder_ / "tiny.safetensors";
    const testing::Fixture fixture("edm_networks/edm_adm_small");
    const auto network = testing::ReferenceNetwork(fixture);
    weights_ = testing::TensorsBelow(fixture, "weights/");
    config_ = network->config();
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path folder_, path_;
  std::map<std::string, Tensor> weights_;
  edm::PrecondConfig config_;
};

// Standard normal states of a network's size.
Tensor StatesFor(const edm::UNetConfig& c, int64_t batch) {
  torch::manual_seed(1);
  return torch::randn({batch, c.in_channels, c.img_resolution, c.img_resolution});
}

NoiseLevel LevelAt(const NoiseSchedule& schedule, double t) {
  return {Scalar(t), schedule.Alpha(Scalar(t)), schedule.Sigma(Scalar(t))};
}

TEST_F(ModelFile, DenoiserIsTheNetworkSeenAsVp) {
  edm::WriteEdmModel(path_, config_, weights_, {{"class_names", R"(["a","b"])"}});
  const Model model = OpenModel(path_.string());
  EXPECT_EQ(model.classes, config_.network.label_dim);
  EXPECT_EQ(model.class_names.size(), 2u);
  EXPECT_EQ(model.sha256, Sha256OfFile(path_));
  const NoiseLevel at = LevelAt(*model.schedule, 0.4);
  const Tensor x = StatesFor(config_.network, 2);
  const Condition condition{torch::tensor({config_.network.label_dim - 1, int64_t{-1}})};
  const Tensor d = model.denoiser->Predict(x, at, condition);
  const auto network = testing::ReferenceNetwork(testing::Fixture("edm_networks/edm_adm_small"));
  const Tensor expected =
      network->Denoise(x / at.alpha.to(torch::kFloat32), (at.sigma / at.alpha).to(torch::kFloat32),
                       edm::OneHotLabels(condition.labels, model.classes));
  EXPECT_TRUE(testing::Close(d, expected, 1e-5, 0));
}

// The same model in several files, named by their index. Its hash tells them all.
TEST_F(ModelFile, OpensShards) {
  edm::WriteEdmModel(path_, config_, weights_, {});
  const Safetensors whole = ReadSafetensors(path_);
  std::map<std::string, Tensor> parts[2];
  nlohmann::json map;
  for (const auto& [name, tensor] : whole.tensors) {
    const size_t part = map.size() % 2;
    parts[part][name] = tensor;
    map[name] = std::to_string(part) + ".safetensors";
  }
  for (const size_t part : {0, 1}) {
    WriteSafetensors(folder_ / (std::to_string(part) + ".safetensors"), parts[part], whole.metadata);
  }
  const std::filesystem::path index = folder_ / "tiny.safetensors.index.json";
  WriteFile(index, nlohmann::json({{"weight_map", map}}).dump());
  const Model expected = OpenModel(path_.string()), model = OpenModel(index.string());
  const NoiseLevel at = LevelAt(*model.schedule, 0.4);
  const Tensor x = StatesFor(config_.network, 2);
  const Condition condition{torch::tensor({int64_t{0}, int64_t{-1}})};
  EXPECT_TRUE(testing::SameBits(model.denoiser->Predict(x, at, condition),
                                expected.denoiser->Predict(x, at, condition)));
  EXPECT_NE(model.sha256, expected.sha256);

  parts[1].begin()->second.add_(1);
  WriteSafetensors(folder_ / "1.safetensors", parts[1], whole.metadata);
  EXPECT_NE(OpenModel(index.string()).sha256, model.sha256);
}

// The filter is in the weights and in the configuration, and both must say the same.
TEST_F(ModelFile, AFilterThatContradictsTheConfigurationIsRefused) {
  const testing::Fixture fixture("edm_networks/vp_ddpmpp");
  weights_ = testing::TensorsBelow(fixture, "weights/");
  config_ = testing::ReferenceNetwork(fixture)->config();
  edm::WriteEdmModel(path_, config_, weights_, {});
  EXPECT_NO_THROW(OpenModel(path_.string()));
  config_.network.resample_filter = {1, 3};
  edm::WriteEdmModel(path_, config_, weights_, {});
  EXPECT_ERROR(OpenModel(path_.string()), Errc::kBadFile,
               "resample_filter is not the filter of init_kwargs.resample_filter, [1, 3]");
}

TEST_F(ModelFile, GuidanceCombinesBothPredictions) {
  edm::WriteEdmModel(path_, config_, weights_, {});
  const Model plain = OpenModel(path_.string()), guided = OpenModel(path_.string(), {.guidance = 2.5});
  const NoiseLevel at = LevelAt(*plain.schedule, 0.6);
  const Tensor x = StatesFor(config_.network, 3);
  const Tensor labels = torch::tensor({0, 1, 2}).remainder(config_.network.label_dim);
  const Tensor with = plain.denoiser->Predict(x, at, {labels});
  const Tensor without = plain.denoiser->Predict(x, at, {torch::full_like(labels, -1)});
  EXPECT_TRUE(
      testing::Close(guided.denoiser->Predict(x, at, {labels}), without + 2.5 * (with - without), 1e-5, 0));
  EXPECT_ERROR(guided.denoiser->Predict(x, at, {}), Errc::kBadOption, "guidance = 2.5");
}

TEST_F(ModelFile, ValuesOfTheWrongKindAreNamed) {
  const auto refused = [&](const char* key, const nlohmann::json& value, const std::string& message) {
    std::map<std::string, std::string> metadata = {{"gas_model", "edm-1"}, {"class_name", "EDMPrecond"}};
    nlohmann::json kwargs = edm::InitKwargs(config_);
    kwargs[key] = value;
    metadata["init_kwargs"] = kwargs.dump();
    WriteSafetensors(path_, {{"w", torch::zeros({1})}}, metadata);
    EXPECT_ERROR(OpenModel(path_.string()), Errc::kBadFile, message);
  };
  refused("model_channels", 1.9, "init_kwargs.model_channels = 1.9, must be a whole number");
  refused("num_blocks", true, "init_kwargs.num_blocks = true, must be a whole number");
  refused("channel_mult", {1, "x"}, "init_kwargs.channel_mult = \"x\", must be a whole number");
  refused("dropout", 7, "init_kwargs.dropout = 7, must be in [0, 1]");
  refused("sigma_data", "x", "init_kwargs.sigma_data = \"x\", must be a number");
  refused("model_type", 3, "init_kwargs.model_type = 3, must be a text");
}

TEST_F(ModelFile, DeepNestingInMetadataIsRefused) {
  const std::string deep = std::string(100000, '[') + std::string(100000, ']');
  edm::WriteEdmModel(path_, config_, weights_, {{"class_names", deep}});
  EXPECT_ERROR(OpenModel(path_.string()), Errc::kBadFile,
               "metadata entry class_names: JSON nested more than 64 deep");
  WriteSafetensors(path_, {{"w", torch::zeros({1})}},
                   {{"gas_model", "edm-1"}, {"class_name", "EDMPrecond"}, {"init_kwargs", deep}});
  EXPECT_ERROR(OpenModel(path_.string()), Errc::kBadFile,
               "metadata entry init_kwargs: JSON nested more than 64 deep");
}

// Ten bits of every product, through tens of layers; refused where LibTorch has none.
TEST_F(ModelFile, Float16IsNearFloat32OrRefused) {
  if (!nn::HasConvolutions(torch::kFloat16, torch::kCPU)) {
    EXPECT_ERROR(OpenModel("fashion", {.dtype = torch::kFloat16}), Errc::kUnavailable,
                 "dtype float16: LibTorch cannot make such convolutions on cpu here, must be float32");
    return;
  }
  const torch::NoGradGuard no_grad;
  const Model exact = OpenModel("fashion"), rounded = OpenModel("fashion", {.dtype = torch::kFloat16});
  const NetworkInput input = InputFor(exact, 2);
  const Tensor expected = exact.denoiser->Predict(input.state, input.at, input.condition);
  const Tensor actual = rounded.denoiser->Predict(input.state, input.at, input.condition);
  EXPECT_EQ(actual.scalar_type(), torch::kFloat32);
  EXPECT_TRUE(testing::Close(actual, expected, 1e-2, 0));
  EXPECT_FALSE(testing::Close(actual, expected, 1e-6, 0));
}

TEST_F(ModelFile, RefusesWhatDoesNotFit) {
  auto weights = weights_;
  weights.erase(weights.begin());
  edm::WriteEdmModel(path_, config_, weights, {});
  EXPECT_ERROR(OpenModel(path_.string()), Errc::kBadFile, "is missing");
  weights = weights_;
  weights["model.extra"] = torch::zeros({1});
  edm::WriteEdmModel(path_, config_, weights, {});
  EXPECT_ERROR(OpenModel(path_.string()), Errc::kBadFile, "model.extra is unknown to the network");
  weights = weights_;
  weights["model.out_conv.bias"].fill_(NAN);
  edm::WriteEdmModel(path_, config_, weights, {});
  EXPECT_ERROR(OpenModel(path_.string()), Errc::kBadFile,
               "model.out_conv.bias has entries that are not finite");
  WriteFile(path_, std::string("not a model"));
  EXPECT_ERROR(OpenModel(path_.string()), Errc::kBadFile, "tiny.safetensors");
  EXPECT_ERROR(OpenModel("fashon"), Errc::kBadOption, "did you mean fashion?");
  EXPECT_ERROR(OpenModel("./nowhere.safetensors"), Errc::kBadFile, "nowhere.safetensors");
}

}  // namespace
}  // namespace gas
