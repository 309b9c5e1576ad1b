#include "gas/train/distance.h"

#include "gas/features/classifier.h"
#include "gas/io/safetensors.h"
#include "gas/models/edm/edm_denoiser.h"
#include "gas/models/edm/precond.h"
#include "gas/train/loss_text.h"
#include "gas/train/training_run.h"
#include "support/expect.h"
#include "support/gmm.h"
#include "support/lpips.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

using testing::SameBits;

// What the terms need that have no files: images of 3x16x16.
DistanceResources Resources() {
  torch::manual_seed(11);
  edm::PrecondConfig denoiser;
  denoiser.network = {.img_resolution = 16,
                      .model_channels = 16,
                      .channel_mult = {1, 2},
                      .num_blocks = 1,
                      .attn_resolutions = {}};
  return {.features =
              [] {
                const ClassifierConfig config{.channels = 3, .width = 8};
                return std::make_shared<ClassifierFeatures>(std::make_shared<Classifier>(config), "small",
                                                            "");
              },
          .encoder = std::make_shared<edm::EdmEncoder>(std::make_shared<edm::Precond>(denoiser)),
          .lpips = {}};
}

Tensor Images(int64_t count) {
  torch::manual_seed(12);
  return torch::rand({count, 3, 16, 16}) * 2 - 1;
}

std::vector<std::string> NamesWithoutFiles() {
  std::vector<std::string> names = DistanceNames();
  std::erase_if(names, [](const std::string& name) { return name.starts_with("lpips"); });
  return names;
}

TEST(Distances, AreZeroForEqualImagesAlone) {
  const Tensor x = Images(3);
  for (const std::string& name : NamesWithoutFiles()) {
    const Distance distance = MakeDistance(name, Resources());
    EXPECT_NEAR(distance(x, x).item<double>(), 0.0, 1e-6) << name;  // one image and a batch round differently
    EXPECT_GT(distance(x, -x).item<double>(), 1e-3) << name;
    EXPECT_TRUE(distance.source().is_null()) << name;
  }
}

TEST(Distances, AddUpAsWritten) {
  const Tensor x = Images(3), y = x.flip(0);
  const DistanceResources resources = Resources();
  const auto value = [&](const std::string& text) {
    return MakeDistance(text, resources)(x, y).item<double>();
  };
  EXPECT_NEAR(value("l1 + 0.5*self+1e-2*ms-ssim"),
              value("l1") + 0.5 * value("self") + 0.01 * value("ms-ssim"), 1e-6);
  EXPECT_NEAR(value("2e+1*l2+huber"), 20 * value("l2") + value("huber"), 1e-5);
  EXPECT_EQ(value("l2"), (x - y).square().mean().item<double>());
}

// Doubles on the way to images, and the number of channels with it.
class DoublingCodec : public ImageCodec {
 public:
  Tensor Decode(const Tensor& latents) const override { return torch::cat({2 * latents, 2 * latents}, 1); }
  Tensor Encode(const Tensor& images) const override { return images.chunk(2, 1)[0] / 2; }
};

TEST(Distances, OfImagesLookAtDecodedOnesAndTheOthersAtStates) {
  torch::manual_seed(5);
  const Tensor a = 0.1 * torch::randn({2, 1, 32, 32}), b = 0.1 * torch::randn({2, 1, 32, 32});
  const auto codec = std::make_shared<DoublingCodec>();
  const DistanceResources with{.codec = codec};
  EXPECT_TRUE(
      MakeDistance("ms-ssim", with)(a, b).equal(MakeDistance("ms-ssim")(codec->Decode(a), codec->Decode(b))));
  for (const char* name : {"l1", "l2", "huber"}) {
    EXPECT_TRUE(MakeDistance(name, with)(a, b).equal(MakeDistance(name)(a, b))) << name;
  }
  // The gradient goes through the decoder.
  const Tensor x = a.clone().requires_grad_();
  MakeDistance("ms-ssim", with)(x, b).backward();
  EXPECT_GT(x.grad().abs().max().item<double>(), 0);
  // Embeddings too, and what is kept of the teacher's.
  const auto shared = std::make_shared<ClassifierFeatures>(
      std::make_shared<Classifier>(ClassifierConfig{.channels = 2, .width = 8}), "small", "");
  const Distance features = MakeDistance("features", {.features = [&] { return shared; }, .codec = codec});
  const Distance plain = MakeDistance("features", {.features = [&] { return shared; }});
  EXPECT_TRUE(features(a, b, {0, 1}).equal(plain(codec->Decode(a), codec->Decode(b), {0, 1})));
}

TEST(Distances, SayWhatTheyNeed) {
  EXPECT_ERROR(MakeDistance("features"), Errc::kBadOption, "needs a feature network");
  EXPECT_ERROR(MakeDistance("l1+self"), Errc::kBadOption, "needs a model with an encoder");
  EXPECT_ERROR(MakeDistance("l1+0.5*lpips-vgg"), Errc::kBadOption,
               "lpips-vgg needs torchvision's vgg16-397923af.pth");
  DistanceResources resources;
  resources.lpips.trunk = "no.safetensors";
  EXPECT_ERROR(MakeDistance("lpips-alex", resources), Errc::kBadFile, "no.safetensors: no such file");
}

TEST(Distances, LpipsFromFilesIsThatOfTheNetwork) {
  const testing::TempFolder folder("distance_lpips");
  const testing::LpipsTensors tensors = testing::RandomLpips(TrunkKind::kSqueezeNet);
  DistanceResources resources;
  resources.lpips = {folder.path() / "trunk.safetensors", folder.path() / "heads.safetensors"};
  WriteSafetensors(resources.lpips.trunk, tensors.trunk);
  WriteSafetensors(resources.lpips.heads, tensors.heads);
  const Distance distance = MakeDistance("l1+2*lpips-squeeze", resources);
  EXPECT_EQ(distance.source().at("lpips-squeeze").at("heads"), "other");
  EXPECT_EQ(distance.source().at("lpips-squeeze").at("trunk_sha256").get<std::string>().size(), 64u);
  const Tensor x = Images(2), y = x.flip(3);
  const LpipsModel model = ReadLpips(TrunkKind::kSqueezeNet, resources.lpips);
  const double expected = (x - y).abs().mean().item<double>() + 2 * MeanLpips(*model.network, x, y);
  EXPECT_NEAR(distance(x, y).item<double>(), expected, 1e-5 * expected);
}

TEST(LossText, IsReadIntoWeightsAndNames) {
  const auto read = [](const std::string& text) {
    std::vector<std::pair<double, std::string>> terms;
    for (const WeightedName& term : ParseLoss(text, DistanceNames()))
      terms.emplace_back(term.weight, term.name);
    return terms;
  };
  using Terms = std::vector<std::pair<double, std::string>>;
  EXPECT_EQ(read("l1"), (Terms{{1, "l1"}}));
  EXPECT_EQ(read("l1+0.5*lpips-vgg"), (Terms{{1, "l1"}, {0.5, "lpips-vgg"}}));
  EXPECT_EQ(read(" 1e+3*l1 + 1e-3*ms-ssim+2*l1"), (Terms{{1000, "l1"}, {0.001, "ms-ssim"}, {2, "l1"}}));
}

TEST(LossText, ErrorsNameTheTermAndTheNearest) {
  const auto expect = [](const std::string& text, const std::string& message) {
    EXPECT_ERROR(ParseLoss(text, DistanceNames()), Errc::kBadOption, "train.loss = " + text + ": " + message);
  };
  expect("l3", "unknown term l3, did you mean l2?");
  expect("l1+0.5*lpips-vg", "unknown term lpips-vg, did you mean lpips-vgg?");
  expect("2l1", "unknown term 2l1, did you mean l1?");
  expect("l1+lpips vgg", "unknown term lpipsvgg, did you mean lpips-vgg?");
  expect("0*l1", "weight 0 of l1, must be a positive number");
  expect("l2+-1*l1", "weight -1 of l1, must be a positive number");
  expect("inf*l1", "weight inf of l1, must be a positive number");
  expect("nan*l1", "weight nan of l1, must be a positive number");
  expect("x*l1", "weight x of l1, must be a positive number");
  expect("*l1", "weight  of l1, must be a positive number");
  expect("2*", "the name of a term is missing");
  expect("", "the name of a term is missing");
  expect("l1+", "the name of a term is missing");
  expect("+l1", "the name of a term is missing");
}

// A distance whose embedding counts the images that it is asked for.
class CountedDistance {
 public:
  Distance Make(uint64_t cache_bytes) {
    auto embed = [this](const Tensor& x) {
      calls_ += torch::GradMode::is_enabled() ? 0 : x.size(0);
      return (x * weights_).tanh().flatten(1);
    };
    return Distance({DistanceTerm{.weight = 1, .between = {}, .embedding = embed}}, cache_bytes);
  }
  int64_t TakeCalls() { return std::exchange(calls_, 0); }

 private:
  Tensor weights_ = torch::linspace(-3, 3, 16);
  int64_t calls_ = 0;
};

constexpr uint64_t kEntryBytes = 2 * 3 * 16 * 16 * sizeof(float);  // image and embedding

TEST(DistanceCache, AsksForEachTeacherImageOnce) {
  CountedDistance counted;
  const Distance distance = counted.Make(kDistanceCacheBytes);
  const Tensor student = Images(4).flip(3), teacher = Images(4);
  distance(student, teacher, {7, 3, 9, 1});
  EXPECT_EQ(counted.TakeCalls(), 4);
  distance(student.slice(0, 0, 2), teacher.index_select(0, torch::tensor({3, 1})), {1, 3});
  EXPECT_EQ(counted.TakeCalls(), 0);
  EXPECT_EQ(distance.cached_bytes(), 4 * kEntryBytes);
  // Copies share what is kept; without indices nothing is looked up.
  const Distance copy = distance;  // NOLINT(performance-unnecessary-copy-initialization): what is tested
  copy(student, teacher, {7, 3, 9, 1});
  EXPECT_EQ(counted.TakeCalls(), 0);
  copy(student, teacher);
  EXPECT_EQ(counted.TakeCalls(), 4);
  // Another image under a known index is not mistaken for the one that was kept.
  EXPECT_TRUE(SameBits(distance(student, -teacher, {7, 3, 9, 1}), distance(student, -teacher)));
}

TEST(DistanceCache, StaysWithinItsLimit) {
  CountedDistance counted;
  const Distance distance = counted.Make(3 * kEntryBytes + 1);
  const Tensor student = Images(5).flip(3), teacher = Images(5);
  for (int pass = 0; pass < 2; ++pass) distance(student, teacher, {0, 1, 2, 3, 4});
  EXPECT_EQ(distance.cached_bytes(), 3 * kEntryBytes);
  EXPECT_EQ(counted.TakeCalls(), 5 + 2);
  counted.Make(0)(student, teacher, {0, 1, 2, 3, 4});
  EXPECT_EQ(counted.TakeCalls(), 5);
}

// Values and gradients over shuffled batches of different sizes, for every term that is embedded by a
// network.
TEST(DistanceCache, ChangesNoBit) {
  DistanceResources with = Resources(), without = with;
  const auto shared = with.features();
  with.features = without.features = [shared] { return shared; };
  without.cache_bytes = 0;
  const std::string text = "l1+features+0.5*self";
  const Distance cached = MakeDistance(text, with), fresh = MakeDistance(text, without);
  const Tensor teacher = Images(6);
  const std::vector<std::vector<int64_t>> batches = {{0, 1, 2, 3}, {5, 3, 1}, {2}, {4, 0, 5, 1, 2}};
  for (const std::vector<int64_t>& batch : batches) {
    const Tensor targets = teacher.index_select(0, torch::tensor(batch));
    Tensor gradients[2], values[2];
    for (const int i : {0, 1}) {
      Tensor student = (0.8 * targets.flip(2)).requires_grad_();
      values[i] = (i == 0 ? cached : fresh)(student, targets, batch);
      values[i].backward();
      gradients[i] = student.grad();
    }
    EXPECT_TRUE(SameBits(values[0], values[1]));
    EXPECT_TRUE(SameBits(gradients[0], gradients[1]));
  }
  EXPECT_GT(cached.cached_bytes(), 0u);
  EXPECT_EQ(fresh.cached_bytes(), 0u);
}

// The trainer tells the distance which samples it has, and ends with the same student.
TEST(DistanceCache, TrainerUsesIt) {
  torch::manual_seed(9);
  const SchedulePtr schedule = VpLinearSchedule();
  const auto network = std::make_shared<testing::GaussianDenoiser>(0.3, 0.5);
  const Tensor noise = torch::randn({10, 3, 16, 16}, torch::kFloat64);
  const Samples samples = {noise, network->Flow(*schedule, noise, 1.0, 1e-3), {}, {}, {}};
  CountedDistance counted;
  std::vector<std::map<std::string, Tensor>> results;
  for (const uint64_t bytes : {kDistanceCacheBytes, uint64_t{0}}) {
    Student student({.steps = 3}, schedule);
    GsTrainer trainer(student, network, counted.Make(bytes), {.iterations = 12});
    TrainingRun run(trainer, {.folder = {}, .batch = 4});
    counted.TakeCalls();
    run.Run(PairsOf(samples), {}, nullptr);
    EXPECT_EQ(counted.TakeCalls(), bytes > 0 ? 10 : 48);
    results.push_back(trainer.average());
  }
  for (const auto& [name, value] : results[0]) EXPECT_TRUE(SameBits(value, results[1].at(name))) << name;
}

}  // namespace
}  // namespace gas
