#include "gas/train/pretrain_run.h"

#include "gas/io/file.h"
#include "gas/io/png.h"
#include "gas/io/safetensors.h"
#include "gas/models/edm/edm_family.h"
#include "gas/models/model.h"
#include "gas/nn/state_dict.h"
#include "gas/nn/weights.h"
#include "support/expect.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

using testing::SameBits;
using testing::TempFolder;

const PretrainReportFunction kQuiet = [](const NetworkTrainReport&) {};

// Red squares and blue bars of 16 pixels: two classes, 12 images for training and 4 held out.
class PretrainRun : public ::testing::Test {
 protected:
  void SetUp() override {
    torch::manual_seed(1);
    for (const auto& [split, count] : std::map<std::string, int>{{"train", 12}, {"test", 4}}) {
      for (int i = 0; i < count; ++i) {
        const bool bar = i % 2 == 1;
        Tensor image =
            torch::full({3, 16, 16}, 255, torch::kUInt8) - torch::randint(9, {3, 16, 16}, torch::kUInt8);
        image.select(0, bar ? 0 : 2).slice(0, 4, 12).slice(1, bar ? 7 : 4, bar ? 9 : 12).fill_(0);
        const auto folder = data_.path() / split / (bar ? "bars" : "squares");
        MakeDirectory(folder);
        WritePng(folder / (std::to_string(i) + ".png"), image);
      }
    }
  }

  PretrainOptions Options(const TempFolder& run) const {
    PretrainOptions o;
    o.data = {.folder = data_.path(), .name = "shapes", .resolution = 8};
    o.data.augment = {.shift = 0.05, .hue = 10};
    o.data.flip_classes = {"bars"};
    o.train = {.run_folder = run.path(), .images = 40, .batch = 4, .lr = 1e-3, .bfloat16 = false};
    o.out = run.path() / "model.safetensors";
    o.sizes = {
        .width = 8, .blocks = 1, .channel_mult = {1, 2}, .attn_resolutions = {4}, .label_dropout = 0.2};
    return o;
  }

  TempFolder data_{"pretrain_data"};
};

TEST_F(PretrainRun, ADenoiserIsAModel) {
  const TempFolder run("pretrain_model");
  const PretrainResult result = PretrainDenoiser(Options(run), kQuiet);
  EXPECT_EQ(result.images, 40);
  const Model model = OpenModel(result.out.string());
  EXPECT_EQ(model.shape, (std::vector<int64_t>{3, 8, 8}));
  EXPECT_EQ(model.class_names, (std::vector<std::string>{"bars", "squares"}));
  EXPECT_EQ(model.metadata.at("data"), "shapes");
  EXPECT_EQ(model.parameters, result.parameters);
  const edm::UNetConfig config = edm::ConfigOf(ModelFiles(result.out.string())).network;
  EXPECT_EQ(config.label_dropout, 0.2);
  EXPECT_EQ(config.channel_mult, (std::vector<int64_t>{1, 2}));
}

TEST_F(PretrainRun, HalfTheBytesAreTheSameWeightsRounded) {
  const TempFolder wide("pretrain_wide"), narrow("pretrain_narrow");
  PretrainOptions options = Options(wide);
  PretrainDenoiser(options, kQuiet);
  const Safetensors expected = ReadSafetensors(options.out);
  options = Options(narrow);
  options.store = torch::kBFloat16;
  const PretrainResult result = PretrainDenoiser(options, kQuiet);
  const Safetensors stored = ReadSafetensors(result.out);
  for (const auto& [name, tensor] : expected.tensors) {
    EXPECT_TRUE(SameBits(stored.at(name), tensor.to(torch::kBFloat16))) << name;
  }
  const ModelFiles file(result.out.string());
  edm::Precond network(edm::ConfigOf(file));
  nn::LoadWeights(network, *file.tensors());
  for (const auto& [name, tensor] : StateDict(network)) {
    EXPECT_TRUE(SameBits(tensor.contiguous(), stored.at(name).to(torch::kFloat32))) << name;
  }
}

TEST_F(PretrainRun, AnotherRunBeginsWithAModelsWeights) {
  const TempFolder first("pretrain_first"), second("pretrain_second");
  const PretrainResult before = PretrainDenoiser(Options(first), kQuiet);
  PretrainOptions options = Options(second);
  options.init = before.out;
  options.sizes = {};  // those of the file
  options.train.images = 4;
  options.train.lr = 1e-12;
  const PretrainResult after = PretrainDenoiser(options, kQuiet);
  const Safetensors expected = ReadSafetensors(before.out), continued = ReadSafetensors(after.out);
  EXPECT_EQ(continued.metadata.at("init_kwargs"), expected.metadata.at("init_kwargs"));
  for (const auto& [name, tensor] : expected.tensors) {
    EXPECT_TRUE(testing::Close(continued.at(name), tensor, 1e-5, 1e-7)) << name;
  }
}

TEST_F(PretrainRun, ARunFromOtherWeightsIsAnotherRun) {
  const TempFolder first("pretrain_one"), second("pretrain_two"), run("pretrain_from");
  PretrainOptions options = Options(first);
  const std::filesystem::path one = PretrainDenoiser(options, kQuiet).out;
  options = Options(second);
  options.train.lr = 2e-3;
  const std::filesystem::path two = PretrainDenoiser(options, kQuiet).out;
  options = Options(run);
  options.sizes = {};
  options.init = one;
  PretrainDenoiser(options, kQuiet);
  PretrainDenoiser(options, kQuiet);
  options.init = two;
  EXPECT_ERROR(PretrainDenoiser(options, kQuiet), Errc::kBadFile,
               "checkpoint.safetensors: was made with pretrain.init = \"" + Sha256OfFile(one) +
                   "\", this run has \"" + Sha256OfFile(two) + "\"");
}

TEST_F(PretrainRun, AnInitOfOtherSizesIsRefused) {
  const TempFolder first("pretrain_size"), second("pretrain_other");
  const PretrainResult before = PretrainDenoiser(Options(first), kQuiet);
  PretrainOptions options = Options(second);
  options.init = before.out;
  options.data.resolution = 16;
  EXPECT_ERROR(PretrainDenoiser(options, kQuiet), Errc::kBadFile,
               "3 channels and 8 pixels on a side, the data have 3 and 16");
}

TEST_F(PretrainRun, AFinishedRunGoesOnWhenMoreImagesAreAskedFor) {
  const TempFolder whole("pretrain_whole"), extended("pretrain_extended");
  PretrainOptions options = Options(whole);
  options.train.cooldown = 0;
  PretrainDenoiser(options, kQuiet);
  const Safetensors expected = ReadSafetensors(options.out);
  options = Options(extended);
  options.train.cooldown = 0;
  options.train.images = 20;
  PretrainDenoiser(options, kQuiet);
  options.train.images = 40;
  PretrainDenoiser(options, kQuiet);
  const Safetensors actual = ReadSafetensors(options.out);
  for (const auto& [name, tensor] : expected.tensors) EXPECT_TRUE(SameBits(actual.at(name), tensor)) << name;
}

TEST_F(PretrainRun, ARunOfAnotherRecipeIsRefusedAndOverwritesNothing) {
  const TempFolder run("pretrain_recipe");
  PretrainOptions options = Options(run);
  options.record = {{"which", "first"}};
  PretrainDenoiser(options, kQuiet);
  const auto contents = [&] {
    std::map<std::string, std::string> hashes;
    for (const auto& entry : std::filesystem::directory_iterator(run.path())) {
      hashes[entry.path().filename().string()] = Sha256OfFile(entry.path());
    }
    return hashes;
  };
  const auto before = contents();
  EXPECT_THAT(before, ::testing::Contains(::testing::Key("options.json")));
  EXPECT_THAT(before, ::testing::Contains(::testing::Key("log.jsonl")));
  options.record = {{"which", "second"}};
  PretrainOptions other = options;
  other.noise.mean = -1;
  EXPECT_ERROR(PretrainDenoiser(other, kQuiet), Errc::kBadFile,
               "was made with pretrain.sigma_mean = -1.2, this run has -1.0");
  other = options;
  other.data.augment.hue = 20;
  EXPECT_ERROR(PretrainDenoiser(other, kQuiet), Errc::kBadFile, "was made with augment.hue = 10.0");
  other = options;
  other.sizes.width = 16;
  EXPECT_ERROR(PretrainDenoiser(other, kQuiet), Errc::kBadFile, "was made with pretrain.width = 8");
  EXPECT_ERROR(PretrainClassifier(options, kQuiet), Errc::kBadFile,
               R"(pretrain.what = "denoiser", this run has "classifier")");
  EXPECT_EQ(contents(), before);
}

TEST_F(PretrainRun, AClassifierSaysHowOftenItIsRight) {
  const TempFolder run("pretrain_classifier");
  PretrainOptions options = Options(run);
  options.train.images = 800;
  options.train.lr = 1e-2;
  const PretrainResult result = PretrainClassifier(options, kQuiet);
  EXPECT_EQ(result.test_accuracy, 1.0);
  EXPECT_GE(result.test_frechet_distance.value(), 0);
  const FeatureModel model = ReadFeatureModel(result.out);
  EXPECT_EQ(model.metadata.at("test_accuracy"), "1.0000");
  EXPECT_EQ(model.network->card().channels, 3);
  EXPECT_EQ(model.network->card().resolution, 8);
  EXPECT_EQ(model.metadata.at("class_names"), R"(["bars","squares"])");
}

TEST_F(PretrainRun, WithoutATestSplitNothingIsSaidOfIt) {
  const TempFolder run("pretrain_no_test");
  std::filesystem::remove_all(data_.path() / "test");
  EXPECT_FALSE(PretrainClassifier(Options(run), kQuiet).test_accuracy.has_value());
}

TEST_F(PretrainRun, ATestSplitOfOtherClassesIsRefused) {
  const TempFolder run("pretrain_other_test");
  std::filesystem::remove_all(data_.path() / "test/bars");
  EXPECT_ERROR(PretrainClassifier(Options(run), kQuiet), Errc::kBadFile,
               "test has 1 classes, must have the 2 of train");
}

TEST_F(PretrainRun, RefusesWhatDoesNotFitTheData) {
  const TempFolder run("pretrain_refused");
  PretrainOptions options = Options(run);
  options.data.resolution = 17;
  EXPECT_ERROR(PretrainDenoiser(options, kQuiet), Errc::kBadOption, "resolution = 17, must be at most 16");
  options = Options(run);
  options.data.flip_classes = {"bar"};
  EXPECT_ERROR(PretrainDenoiser(options, kQuiet), Errc::kBadOption,
               "class to mirror bar: unknown, did you mean bars?");
  options = Options(run);
  options.data.class_names = {"one"};
  EXPECT_ERROR(PretrainDenoiser(options, kQuiet), Errc::kBadOption, "1 class names, must be 2");
}

}  // namespace
}  // namespace gas
