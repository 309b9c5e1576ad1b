#include "gas/features/classifier.h"

#include <fmt/format.h>

#include "gas/io/safetensors.h"
#include "gas/metrics/frechet.h"
#include "support/expect.h"
#include "support/gradient.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

std::shared_ptr<Classifier> Small() {
  torch::manual_seed(8);
  return std::make_shared<Classifier>(ClassifierConfig{.width = 8});
}

TEST(Classifier, GradientOfItsEmbedding) {
  ClassifierFeatures network(Small(), "small", "");
  network.To(torch::kCPU, torch::kFloat64);
  const Tensor x = torch::rand({2, 1, 28, 28}, torch::kFloat64) * 1.8 - 0.9;  // clear of the clipping
  const Tensor target = network.Embedding(-x).detach();
  const auto distance = [&](const Tensor& a) { return (network.Embedding(a) - target).square().sum(); };
  EXPECT_TRUE(testing::GradientMatches(distance, x));
}

TEST(Classifier, FileKeepsNetworkAndStatistics) {
  const testing::TempFolder folder("classifier");
  const auto path = folder.path() / "small.safetensors";
  const auto network = Small();
  const Tensor images = torch::rand({7, 1, 28, 28}) * 2 - 1;
  const ClassifierFeatures before(network, "small", "");
  const ImageFeatures seen = FeaturesOfImages(before, images, /*batch=*/3);
  const FeatureStatistics statistics = StatisticsOf(seen.features);
  WriteClassifier(path, *network, statistics.mean, statistics.covariance, {{"data", "noise"}});
  const FeatureModel after = ReadFeatureModel(path);
  EXPECT_EQ(after.network->card().name, "small");
  EXPECT_EQ(after.network->card().sha256.size(), 64u);
  EXPECT_EQ(after.network->card().features, 32);
  EXPECT_EQ(after.network->card().classes, 10);
  EXPECT_EQ(after.metadata.at("data"), "noise");
  EXPECT_TRUE(testing::SameBits(after.data_covariance, statistics.covariance));
  // Another batch size: the last bits may differ.
  const ImageFeatures again = FeaturesOfImages(*after.network, images, /*batch=*/7);
  EXPECT_TRUE(testing::Close(again.features, seen.features, 1e-5, 1e-6));
  EXPECT_TRUE(testing::Close(again.logits, seen.logits, 1e-5, 1e-6));
}

// Of one and of three channels: each serves models of its own shape alone.
TEST(Classifier, ValuesOfTheWrongKindAreNamed) {
  const testing::TempFolder folder("classifier_kinds");
  const auto path = folder.path() / "small.safetensors";
  WriteClassifier(path, *Small(), torch::zeros({32}, torch::kFloat64), torch::eye(32, torch::kFloat64), {});
  Safetensors file = ReadSafetensors(path);
  const auto refused = [&](const std::string& config, const std::string& message) {
    file.metadata["config"] = config;
    WriteSafetensors(path, file.tensors, file.metadata);
    EXPECT_ERROR(ReadFeatureModel(path), Errc::kBadFile, message);
  };
  refused(R"({"width": "x"})", "config.width = \"x\", must be a whole number");
  refused(R"({"classes": 2.5})", "config.classes = 2.5, must be a whole number");
  refused("[]", "metadata entry config is not a JSON object");
  refused(std::string(100000, '[') + std::string(100000, ']'), "JSON nested more than 64 deep");
}

TEST(Classifier, IsReadForModelsOfItsShapeAlone) {
  const testing::TempFolder folder("classifier_shapes");
  for (const int64_t channels : {1, 3}) {
    torch::manual_seed(9);
    const Classifier network({.channels = channels, .resolution = 16, .classes = 3, .width = 8});
    const auto path = folder.path() / (std::to_string(channels) + ".safetensors");
    WriteClassifier(path, network, torch::zeros({32}, torch::kFloat64), torch::eye(32, torch::kFloat64), {});
    const FeatureModel model = ReadFeatureModelFor(path, {channels, 16, 16});
    EXPECT_EQ(model.network->card().channels, channels);
    const Tensor images = torch::rand({2, channels, 16, 16}) * 2 - 1;
    EXPECT_TRUE(model.network->Fits(images));
    EXPECT_EQ(model.network->Look(images).features.sizes(), at::IntArrayRef({2, 32}));
    const int64_t others = 4 - channels;
    EXPECT_ERROR(ReadFeatureModelFor(path, {others, 16, 16}), Errc::kBadFile,
                 fmt::format("looks at images of shape [{}, 16, 16], the model's have [{}, 16, 16]", channels,
                             others));
  }
}

TEST(Classifier, FitsImagesOfItsShapeAlone) {
  const ClassifierFeatures network(Small(), "small", "");
  EXPECT_TRUE(network.Fits(torch::zeros({2, 1, 28, 28})));
  EXPECT_FALSE(network.Fits(torch::zeros({2, 3, 28, 28})));
  EXPECT_FALSE(network.Fits(torch::zeros({2, 1, 28, 32})));
  EXPECT_FALSE(network.Fits(torch::zeros({2, 1, 1, 28, 28})));
}

}  // namespace
}  // namespace gas
