// Losses and figures of images, of a model whose states are latents: they look at what its decoder makes.
#include <numeric>

#include "gas/eval/evaluate.h"
#include "gas/fit/objective.h"
#include "gas/io/safetensors.h"
#include "gas/solver/registry.h"
#include "gas/solver/sampler.h"
#include "gas/train/train_solvers.h"
#include "support/expect.h"
#include "support/fixtures.h"
#include "support/lpips.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

constexpr int64_t kAll = 20, kHeldOut = 4, kNfe = 2;

// float32 sums in another order, and batches of other sizes through the network and the decoder.
constexpr double kBatching = 1e-4;

// A latent diffusion model of the fixtures with random weights: latents 3x16x16, images 3x64x64.
class LatentImages : public ::testing::Test {
 protected:
  LatentImages() : model_(OpenModel(testing::OwnFixture("ldm_uncond.ckpt"))) {
    model_.features = WriteFeatures(64);
    const StepTable table = MakeSolverTable("dpmpp-2m", *model_.schedule, "uniform", 6, model_.t_eps);
    TeacherSpec spec{.solver = "dpmpp-2m", .grid = "uniform", .nfe = 6, .states = true};
    SetModel(spec, model_);
    WriteTeacherData(data_, spec, model_, table, SeedRange(0, kAll), {});
  }

  // A classifier of RGB images of this side with random weights, and its path.
  std::string WriteFeatures(int64_t side) const {
    torch::manual_seed(6);
    const Classifier classifier({.channels = 3, .resolution = side, .width = 8});
    const int64_t features = classifier.feature_count();
    const auto path = folder_.path() / ("features-" + std::to_string(side) + ".safetensors");
    WriteClassifier(path, classifier, torch::zeros({features}, torch::kFloat64),
                    torch::eye(features, torch::kFloat64), {});
    return path.string();
  }

  LpipsFiles WriteLpips(TrunkKind kind) const {
    const testing::LpipsTensors tensors = testing::RandomLpips(kind);
    const LpipsFiles files = {folder_.path() / "trunk.safetensors", folder_.path() / "heads.safetensors"};
    WriteSafetensors(files.trunk, tensors.trunk);
    WriteSafetensors(files.heads, tensors.heads);
    return files;
  }

  struct Pairs {
    Tensor samples, teacher;  // images [B,3,64,64]
  };
  // What a table makes of the noises first, first + 1, ... of the data, and the teacher's.
  Pairs DecodedPairs(const StepTable& table, int64_t first, int64_t count) const {
    std::vector<int64_t> rows(count);
    std::iota(rows.begin(), rows.end(), first);
    const Samples teacher = TeacherData(data_).Read(rows);
    const torch::NoGradGuard no_gradient;
    return {ImagesOf(model_, RunTable(table, *model_.denoiser, teacher.noise, {}).to(torch::kFloat32)),
            ImagesOf(model_, teacher.images)};
  }

  double Perceptual(const Pairs& pairs) const {
    return MeanPerceptualDistance(*ReadFeatureModel(model_.features).network, pairs.samples, pairs.teacher);
  }

  TrainSolversResult Train(const std::string& loss, const LpipsFiles& lpips = {}) const {
    TrainSolversOptions o{.teacher = data_, .held_out = kHeldOut};
    o.open_model = [this](const TeacherData&) { return model_; };
    o.nfe = {kNfe};
    o.loss = loss;
    o.lpips = lpips;
    o.activations = Activations::kKeep;
    o.trainer.iterations = 2;
    o.run = {.folder = folder_.path() / "train", .batch = 2, .validate_every = 2};
    return TrainSolvers(o);
  }

  testing::TempFolder folder_{"latent_images"};
  std::filesystem::path data_ = folder_.path() / "data";
  Model model_;
};

TEST_F(LatentImages, HaveTheShapeThatTheDecoderMakes) {
  EXPECT_EQ(ImageShapeOf(model_), (std::vector<int64_t>{3, 64, 64}));
  Model without = model_;
  without.codec = nullptr;
  EXPECT_EQ(ImageShapeOf(without), model_.shape);
}

// VGG16, as in the paper.
TEST_F(LatentImages, TrainingMinimisesTheirLpips) {
  const LpipsFiles files = WriteLpips(TrunkKind::kVgg16);
  const TrainSolversResult result = Train("lpips-vgg", files);
  const StepTable table = ReadSolverFile(result.file).at(kNfe).table;
  const Pairs pairs = DecodedPairs(table, kAll - kHeldOut, kHeldOut);
  const double expected =
      MeanLpips(*ReadLpips(TrunkKind::kVgg16, files).network, pairs.samples, pairs.teacher);
  EXPECT_GT(expected, 0);
  EXPECT_NEAR(result.solvers[0].held_out_distance.value(), expected, kBatching * expected);
}

TEST_F(LatentImages, TrainingMinimisesTheirDistanceInFeatures) {
  const TrainSolversResult result = Train("features");
  const StepTable table = ReadSolverFile(result.file).at(kNfe).table;
  const double expected = Perceptual(DecodedPairs(table, kAll - kHeldOut, kHeldOut));
  EXPECT_GT(expected, 0);
  EXPECT_NEAR(result.solvers[0].held_out_distance.value(), expected, kBatching * expected);
}

// Differences do not see a codebook.
TEST_F(LatentImages, AFitForTheirFeaturesNeedsAContinuousDecoder) {
  EXPECT_ERROR(FeaturesObjective(model_), Errc::kBadOption, "that of ldm_uncond looks up a codebook");
  EXPECT_ERROR(LpipsObjective(model_, nullptr), Errc::kBadOption, "gas train --loss lpips does without");
}

TEST_F(LatentImages, TheFitsDistanceIsTheirLpips) {
  const Model model = OpenModel(testing::FixtureFolder() / "sd1_diffusers");
  torch::manual_seed(7);
  const Tensor target = torch::randn({2, 4, model.shape[1], model.shape[2]}, torch::kFloat64);
  const Tensor sample = 0.8 * target + 0.1 * torch::randn_like(target);
  const LpipsModel lpips = ReadLpips(TrunkKind::kSqueezeNet, WriteLpips(TrunkKind::kSqueezeNet));
  const Tensor distances = LpipsObjective(model, lpips.network)->Distances(sample, target);
  const double expected = MeanLpips(*lpips.network, ImagesOf(model, sample.to(torch::kFloat32)),
                                    ImagesOf(model, target.to(torch::kFloat32)));
  EXPECT_GT(expected, 0);
  EXPECT_NEAR(distances.mean().item<double>(), expected, 1e-4 * expected);
}

// Latents of Stable Diffusion's decoder, a continuous one. The equations of the last row are the
// linearisation of the features of decoded images: the gradient of their squares is that by automatic
// differentiation through the decoder.
TEST_F(LatentImages, TheFitsEquationsAreTheLinearisationOfTheirFeatures) {
  Model model = OpenModel(testing::FixtureFolder() / "sd1_diffusers");
  model.features = WriteFeatures(ImageShapeOf(model)[1]);
  torch::manual_seed(7);
  const Tensor target = torch::randn({2, 4, model.shape[1], model.shape[2]}, torch::kFloat64);
  const Tensor sample = 0.8 * target + 0.1 * torch::randn_like(target);
  const Tensor directions = torch::stack({target, torch::randn_like(target)}, 1);
  const ObjectivePtr objective = FeaturesObjective(model);
  const Objective::Equations e = objective->Linearise(sample, directions, target);
  const Tensor at = torch::zeros({2}, torch::kFloat64).requires_grad_();
  const Tensor of = torch::zeros({2}, torch::kFloat64).requires_grad_();
  const Tensor residual = (e.jacobian.matmul(at) - e.missing).square().sum();
  const FeatureModel features = ReadFeatureModel(model.features);
  const auto embedding = [&](const Tensor& states) {
    return features.network->Embedding(model.codec->Decode(states.to(torch::kFloat32)));
  };
  const Tensor moved = sample + torch::einsum("bpchw,p->bchw", {directions, of});
  const Tensor distance = (embedding(moved) - embedding(target)).square().sum();
  EXPECT_NEAR(residual.item<double>(), distance.item<double>(), 1e-3 * distance.item<double>());
  EXPECT_NEAR(objective->Distances(sample, target).sum().item<double>(), distance.item<double>(),
              1e-3 * distance.item<double>());
  const Tensor expected = torch::autograd::grad({distance}, {of})[0];
  const Tensor actual = torch::autograd::grad({residual}, {at})[0];
  // Differences in float32 are good to some 1e-3 of the gradient.
  EXPECT_TRUE(testing::Close(actual, expected, 2e-2, 0)) << actual << expected;
}

TEST_F(LatentImages, AreWhatAnEvaluationLooksAt) {
  const LpipsFiles files = WriteLpips(TrunkKind::kSqueezeNet);
  EvalOptions options{.solvers = {"ddim"}, .grid = "uniform", .counts = {kNfe}};
  options.lpips = AskedLpips{TrunkKind::kSqueezeNet, files};
  const EvalRecord record = Evaluate(TeacherData(data_), model_, options);
  const StepTable table = MakeSolverTable("ddim", *model_.schedule, "uniform", kNfe, model_.t_eps);
  const Pairs pairs = DecodedPairs(table, 0, kAll);
  const auto& figures = record.rows[1].figures;
  const auto expect = [&](const char* key, double expected) {
    EXPECT_GT(expected, 0) << key;
    EXPECT_NEAR(figures.at(key).mean, expected, kBatching * expected) << key;
  };
  expect("distance", (pairs.samples - pairs.teacher).square().mean().item<double>());
  expect("perceptual", Perceptual(pairs));
  expect("lpips", MeanLpips(*ReadLpips(TrunkKind::kSqueezeNet, files).network, pairs.samples, pairs.teacher));
  const Tensor seen = FeaturesOfImages(*ReadFeatureModel(model_.features).network, pairs.samples).features;
  const int64_t count = seen.size(1);
  expect("frechet", FrechetDistance(StatisticsOf(seen), {torch::zeros({count}, torch::kFloat64),
                                                         torch::eye(count, torch::kFloat64)}));
  EXPECT_EQ(record.lpips.at("trunk"), "squeeze");
  EXPECT_FALSE(record.rows[0].figures.contains("lpips"));  // the teacher's own
}

}  // namespace
}  // namespace gas
