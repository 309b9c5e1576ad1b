// R3GAN's discriminator beyond the reference's numbers: presets, second derivatives, odd sizes, files.
#include "gas/io/safetensors.h"
#include "gas/models/r3gan/discriminator.h"
#include "gas/nn/state_dict.h"
#include "gas/train/adversarial_loss.h"
#include "models/r3gan_reference.h"
#include "support/expect.h"
#include "support/product_dtype.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

using nlohmann::json;
using r3gan::Classes;
using r3gan::Config;
using r3gan::R3ganDiscriminator;
using testing::Close;
using testing::NamesWhere;
using testing::Reference;
using testing::ReferenceNames;
using testing::ReferenceOf;
using testing::TempFolder;

TEST(R3ganNetwork, LatentPresetsHaveTheReferencesShapesAndDeviations) {
  const auto names =
      NamesWhere([](const std::string& stem, const json&) { return stem.ends_with(testing::kShapesEnd); });
  ASSERT_EQ(names.size(), 2u);
  torch::manual_seed(4);
  for (const std::string& name : names) {
    SCOPED_TRACE(name);
    const json file = testing::JsonOf(name);
    const int64_t channels = file.at("input_shape")[1];
    const R3ganDiscriminator network(r3gan::Preset("r3gan-latent-" + std::to_string(channels)));
    EXPECT_EQ(network.config().resolution, file.at("input_shape")[2]);
    const auto parameters = NamedParameters(network);
    std::map<std::string, std::vector<int64_t>> wanted;
    for (const char* list : {"parameters", "buffers"}) {
      for (const json& entry : file.at(list)) wanted[entry[0]] = entry[1].get<std::vector<int64_t>>();
    }
    int64_t count = 0, elements = 0;
    std::map<std::string, std::vector<int64_t>> found;
    for (const auto& [tensor, value] : StateDict(network)) {
      found[tensor] = value.sizes().vec();
      elements += value.numel();
    }
    for (const auto& [tensor, value] : parameters) count += value.numel();
    EXPECT_EQ(found, wanted);
    EXPECT_EQ(count, file.at("num_parameters").get<int64_t>());
    EXPECT_EQ(elements, r3gan::ElementCount(network.config()));
    ASSERT_FALSE(file.at("std").empty());
    for (const auto& [tensor, std] : file.at("std").items()) {
      const Tensor& value = parameters.at(tensor);
      // Both are measured on n draws, each with relative standard deviation 1 / sqrt(2 n); five of their
      // difference's.
      const double tolerance = 5 * std.get<double>() / std::sqrt(static_cast<double>(value.numel()));
      EXPECT_NEAR(value.std().item<double>(), std.get<double>(), tolerance) << tensor;
    }
  }
}

TEST(R3ganNetwork, PublishedPresets) {
  const Config cifar = r3gan::Preset("r3gan-cifar10"), ffhq = r3gan::Preset("r3gan-ffhq64");
  EXPECT_EQ(cifar.widths, std::vector<int64_t>(4, 768));
  EXPECT_EQ(cifar.cardinalities, std::vector<int64_t>(4, 96));
  EXPECT_EQ(cifar.bfloat16_stages, (std::vector<int64_t>{0, 1, 2}));
  EXPECT_EQ(cifar.ResolutionOf(3), 4);
  EXPECT_EQ(ffhq.ResolutionOf(4), 4);
  EXPECT_EQ(ffhq.classes, 0);
  EXPECT_ERROR(r3gan::Preset("r3gan-cifar"), Errc::kBadOption, "did you mean r3gan-cifar10?");
  for (const std::string& name : r3gan::PresetNames()) {
    const Config config = r3gan::Preset(name);
    EXPECT_EQ(r3gan::ToJson(r3gan::ConfigFromJson(r3gan::ToJson(config))), r3gan::ToJson(config)) << name;
  }
}

// Layers that start at zero would hide errors.
void Randomise(torch::nn::Module& network) {
  torch::NoGradGuard no_grad;
  for (Tensor& parameter : network.parameters()) {
    const double fan = static_cast<double>(std::max<int64_t>(1, parameter.numel() / parameter.size(0)));
    parameter.normal_(0, 1 / std::sqrt(fan));
  }
}

// d/dweight of a scalar of second order (R1 + R2) along a random direction, against central differences.
TEST(R3ganNetwork, DerivativeOfThePenaltiesByFiniteDifferences) {
  torch::manual_seed(11);
  Config config = r3gan::ConfigFor(2, 10, 8);
  config.classes = 3;
  config.outputs = 5;
  R3ganDiscriminator network(config);
  Randomise(network);
  network.to(torch::kFloat64);
  const Tensor labels = torch::tensor({2, -1, 0});
  const LabelledImages real{torch::randn({3, 2, 10, 10}, torch::kFloat64), labels};
  const LabelledImages fake{torch::randn({3, 2, 10, 10}, torch::kFloat64), labels};
  const auto penalty = [&] {
    const auto loss = DiscriminatorLossOf(network, real, fake, {});
    return (loss.r1 + loss.r2).sum();
  };
  const auto named = NamedParameters(network);
  std::vector<Tensor> values;
  for (const auto& [name, value] : named) values.push_back(value);
  const auto gradients = torch::autograd::grad({penalty()}, values);
  constexpr double kStep = 1e-7;  // so small that no activation passes its kink, where R jumps
  size_t index = 0;
  for (const auto& [name, value] : named) {
    const Tensor direction = torch::randn_like(value);
    const auto at = [&, &value = value](double step) {
      value.detach().add_(direction, step);
      const double result = penalty().item<double>();
      value.detach().add_(direction, -step);
      return result;
    };
    const double numeric = (at(kStep) - at(-kStep)) / (2 * kStep);
    const double exact = (gradients[index++] * direction).sum().item<double>();
    // The gradient is constant between kinks of the leaky ReLU in a bias, so R does not depend on biases at
    // all there.
    if (name.ends_with("Bias")) {
      EXPECT_EQ(exact, 0) << name;
      continue;
    }
    EXPECT_GT(std::abs(exact), 1e-6) << name;
    EXPECT_NEAR(numeric, exact, 1e-5 * std::abs(exact)) << name;  // rounding of R over the step
    EXPECT_GT(std::abs(numeric - 1.01 * exact), 1e-5 * std::abs(exact)) << "the comparison cannot fail";
  }
}

TEST(R3ganNetwork, AnyResolutionThatTheStagesLeaveSomethingOf) {
  torch::manual_seed(1);
  for (const int64_t resolution : {1, 3, 7, 15, 28, 33}) {
    const Config config = r3gan::ConfigFor(1, resolution, 8);
    R3ganDiscriminator network(config);
    EXPECT_EQ(network.forward(torch::randn({2, 1, resolution, resolution}), {}).sizes(),
              at::IntArrayRef({2}));
    EXPECT_LE(config.ResolutionOf(config.stages() - 1), 7);
  }
  EXPECT_EQ(r3gan::ConfigFor(1, 28).widths, (std::vector<int64_t>{32, 64, 128}));
  Config config{
      .channels = 1, .resolution = 7, .widths = {8, 8, 8}, .cardinalities = {1, 1, 1}, .blocks = {1, 0, 1}};
  EXPECT_EQ(R3ganDiscriminator(config).forward(torch::randn({2, 1, 7, 7}), {}).numel(), 2);
  config.resolution = 3;
  EXPECT_ERROR(R3ganDiscriminator{config}, Errc::kBadOption, "img_resolution = 3, cannot be halved 2 times");
}

TEST(R3ganNetwork, RefusesWhatCannotBe) {
  const Config good = r3gan::ConfigFor(1, 8, 8);
  R3ganDiscriminator network(good);
  EXPECT_ERROR(network.forward(torch::zeros({2, 1, 9, 8}), {}), Errc::kBadOption, "must be [B, 1, 8, 8]");
  Config config = good;
  config.cardinalities[0] = 3;
  EXPECT_ERROR(R3ganDiscriminator{config}, Errc::kBadOption,
               "CardinalityPerStage = 3, must divide the 16 channels");
  config = good;
  config.blocks.pop_back();
  EXPECT_ERROR(R3ganDiscriminator{config}, Errc::kBadOption, "must be one of each per stage");
  config = good;
  config.bfloat16_stages = {5};
  EXPECT_ERROR(R3ganDiscriminator{config}, Errc::kBadOption, "FP16Stages = 5");
  EXPECT_ERROR(r3gan::ConfigFor(1, 8, 12), Errc::kBadOption, "width = 12, must be a multiple of 8");
  config = good;
  config.classes = 4;
  R3ganDiscriminator conditional(config);
  EXPECT_ERROR(conditional.forward(torch::zeros({1, 1, 8, 8}), torch::tensor({4})), Errc::kBadOption,
               "class label 4, must be in [-1, 3]");
}

TEST(R3ganNetwork, ASampleWithoutLabelCountsEveryOutputOnce) {
  torch::manual_seed(2);
  Config config = r3gan::ConfigFor(1, 8, 8);
  config.classes = 4;
  config.outputs = 6;
  R3ganDiscriminator network(config);
  const Tensor x = torch::randn({3, 1, 8, 8});
  const Tensor none = network.forward(x, {}), mixed = network.forward(x, torch::tensor({-1, 2, -1}));
  EXPECT_TRUE(Close(mixed[0], none[0], 1e-6, 0));
  EXPECT_TRUE(Close(mixed[2], none[2], 1e-6, 0));
  EXPECT_FALSE(Close(mixed[1], none[1], 1e-2, 0));
}

TEST(R3ganFiles, SurviveWritingAndReading) {
  SKIP_WITHOUT_BFLOAT16();
  const TempFolder folder("r3gan_file");
  torch::manual_seed(6);
  Config config = r3gan::ConfigFor(1, 9, 16, 2);
  config.classes = 3;
  config.outputs = 4;
  config.bfloat16_stages = {0};
  R3ganDiscriminator network(config);
  Randomise(network);
  r3gan::WriteDiscriminator(folder.path() / "d", network, {{"recipe", "test"}});
  const auto read = r3gan::ReadDiscriminator(folder.path() / "d");
  EXPECT_EQ(r3gan::ToJson(read->config()), r3gan::ToJson(config));
  const Tensor x = torch::randn({2, 1, 9, 9}), labels = torch::tensor({0, 2});
  EXPECT_TRUE(testing::SameBits(read->forward(x, labels), network.forward(x, labels)));
  const auto constant = r3gan::ReadDiscriminator(folder.path() / "d", Classes::kIgnored);
  EXPECT_EQ(NamedParameters(*constant).count("EmbeddingLayer.weight"), 0u);
  EXPECT_TRUE(testing::SameBits(constant->forward(x, labels), network.forward(x, {})));
  EXPECT_EQ(ReadSafetensors(folder.path() / "d").metadata.at("recipe"), "test");
}

// Weights alone, with the prefix of snapshots and without it.
TEST(R3ganFiles, BareWeightsOfTheReferenceWithEitherPrefix) {
  const TempFolder folder("r3gan_bare");
  for (const std::string& name : ReferenceNames()) {
    SCOPED_TRACE(name);
    Reference reference = ReferenceOf(name);
    std::map<std::string, Tensor> prefixed;
    for (const auto& [tensor, value] : reference.weights) prefixed["Model." + tensor] = value;
    WriteSafetensors(folder.path() / "plain", reference.weights);
    WriteSafetensors(folder.path() / "prefixed", prefixed);
    reference.config.bfloat16_stages.clear();
    for (const char* file : {"plain", "prefixed"}) {
      const auto network = r3gan::ReadDiscriminator(folder.path() / file);
      EXPECT_EQ(r3gan::ToJson(network->config()), r3gan::ToJson(reference.config));
      const auto state = StateDict(*network);
      for (const auto& [tensor, value] : reference.weights)
        EXPECT_TRUE(testing::SameBits(state.at(tensor), value));
    }
  }
}

// Snapshots as R3GAN's training program writes them, under the old and the present names of its modules.
TEST(R3ganFiles, SnapshotsOfTheReference) {
  for (const std::string name : {"legacy_uncond", "legacy_cond", "snapshot_current_names"}) {
    SCOPED_TRACE(name);
    const testing::Fixture fixture("r3gan/" + name);
    const auto path = testing::FixtureFolder() / "r3gan" / (name + ".pkl");
    Config expected = r3gan::ConfigFromJson(fixture.json().at("D_init_kwargs"));
    std::sort(expected.bfloat16_stages.begin(), expected.bfloat16_stages.end());
    const auto network = r3gan::ReadDiscriminator(path);
    EXPECT_EQ(r3gan::ToJson(network->config()), r3gan::ToJson(expected));
    const auto state = StateDict(*network);
    for (const auto& [tensor, value] : testing::TensorsBelow(fixture, "D/Model.")) {
      EXPECT_TRUE(testing::SameBits(state.at(tensor), value)) << tensor;
    }
    const auto unconditional = r3gan::ReadDiscriminator(path, Classes::kIgnored);
    EXPECT_EQ(NamedParameters(*unconditional).count("EmbeddingLayer.weight"), 0u);
  }
}

// As GAS uses them, with the stages in bfloat16 that the snapshot asks for: the fixtures state 0.05 and 5 %.
TEST(R3ganFiles, SnapshotsScoreLikeTheReference) {
  SKIP_WITHOUT_BFLOAT16();
  torch::NoGradGuard no_grad;
  for (const std::string name : {"legacy_uncond", "legacy_cond"}) {
    SCOPED_TRACE(name);
    const testing::Fixture outputs("r3gan/" + name + "_outputs");
    const auto network =
        r3gan::ReadDiscriminator(testing::FixtureFolder() / "r3gan" / (name + ".pkl"), Classes::kIgnored);
    for (const std::string which : {"real", "fake"}) {
      const Tensor expected = outputs.at("logits_" + which + "_bf16").to(torch::kFloat32).flatten();
      const Tensor logits = network->forward(outputs.at(which), {});
      EXPECT_TRUE(((logits - expected).abs() <= 0.05 + 0.05 * expected.abs()).all().item<bool>()) << which;
      const Tensor exact = outputs.at("logits_" + which).flatten();
      EXPECT_TRUE(((logits - exact).abs() <= 0.05 + 0.05 * exact.abs()).all().item<bool>()) << which;
    }
  }
}

TEST(R3ganFiles, AFileWithoutDiscriminatorIsABadFile) {
  const auto pickles = testing::FixtureFolder() / "edm_networks";
  EXPECT_ERROR(r3gan::ReadDiscriminator(pickles / "edm_ddpmpp.pkl"), Errc::kBadFile,
               "tensor ExtractionLayer.Layer.weight is missing");
}

TEST(R3ganFiles, HostileAndMismatchingOnes) {
  const TempFolder folder("r3gan_hostile");
  const auto path = folder.path() / "evil";
  R3ganDiscriminator network(r3gan::ConfigFor(1, 8, 8));
  const auto good = StateDict(network);
  const std::string config = r3gan::ToJson(network.config()).dump();
  const auto read = [&](const std::map<std::string, Tensor>& tensors,
                        const std::map<std::string, std::string>& metadata = {}) {
    WriteSafetensors(path, tensors, metadata);
    return r3gan::ReadDiscriminator(path);
  };
  EXPECT_NE(read(good), nullptr);
  EXPECT_ERROR(read({}), Errc::kBadFile, "evil: tensor ExtractionLayer.Layer.weight is missing");
  EXPECT_ERROR(read(good, {{"gas_discriminator", "r3gan-9"}}), Errc::kBadFile, "= r3gan-9, must be r3gan-1");
  EXPECT_ERROR(read(good, {{"gas_discriminator", "r3gan-1"}}), Errc::kBadFile, "entry config is missing");
  EXPECT_ERROR(read(good, {{"gas_discriminator", "r3gan-1"}, {"config", "{"}}), Errc::kBadFile,
               "evil: metadata entry config: not JSON at byte 2");
  EXPECT_ERROR(read(good, {{"gas_discriminator", "r3gan-1"}, {"config", "[]"}}), Errc::kBadFile,
               "evil: discriminator: init_kwargs is not a JSON object");
  EXPECT_ERROR(read(good, {{"gas_discriminator", "r3gan-1"}, {"config", R"({"WidthPerStages":[8]})"}}),
               Errc::kBadFile, "did you mean WidthPerStage?");
  EXPECT_ERROR(read(good, {{"gas_discriminator", "r3gan-1"}, {"config", R"({"WidthPerStage":["a"]})"}}),
               Errc::kBadFile, "evil: discriminator: init_kwargs");
  // A configuration of gigabytes in a file of kilobytes is refused before anything is allocated.
  json huge = json::parse(config);
  huge["WidthPerStage"] = {16384, 16384};
  huge["BlocksPerStage"] = {64, 64};
  EXPECT_ERROR(read(good, {{"gas_discriminator", "r3gan-1"}, {"config", huge.dump()}}), Errc::kBadFile,
               "numbers, the discriminator of its configuration has");
  huge["WidthPerStage"] = {1 << 30, 8};
  EXPECT_ERROR(read(good, {{"gas_discriminator", "r3gan-1"}, {"config", huge.dump()}}), Errc::kBadFile,
               "WidthPerStage = 1073741824, must be in [1, 16384]");
  auto tensors = good;
  tensors["MainLayers.0.Layers.0.NonLinearity1.Bias"] = torch::full({16}, std::nan(""));
  EXPECT_ERROR(read(tensors), Errc::kBadFile, "NonLinearity1.Bias has entries that are not finite");
  tensors = good;
  tensors.erase("MainLayers.0.Layers.0.NonLinearity1.Bias");
  tensors["MainLayers.0.Layers.0.NonLinearity1.Bios"] = torch::zeros({16});
  EXPECT_ERROR(read(tensors), Errc::kBadFile, "NonLinearity1.Bios is unknown to the network");
  tensors = good;
  tensors["ExtractionLayer.Layer.weight"] = torch::zeros({8});
  EXPECT_ERROR(read(tensors), Errc::kBadFile, "has shape [8], must have 4 dimensions");
  tensors = good;
  tensors["MainLayers.0.Layers.0.LinearLayer2.Layer.weight"] = torch::zeros({16, 0, 3, 3});
  EXPECT_ERROR(read(tensors), Errc::kBadFile, "none of them empty");
}

}  // namespace
}  // namespace gas
