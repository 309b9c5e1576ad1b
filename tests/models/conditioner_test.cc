#include "gas/models/conditioner.h"

#include "gas/models/guidance.h"
#include "gas/models/model.h"
#include "support/expect.h"

namespace gas {
namespace {

TEST(ClassConditioner, OpenRequestsAreDrawnByTheirSeed) {
  const ClassConditioner conditioner(10);
  const std::vector<Seed> seeds = {7, 8, 9, 10};
  const Tensor labels = conditioner.Of(RequestsFor(seeds)).labels;
  EXPECT_TRUE(testing::SameBits(labels, LabelsFor(seeds, 10)));
  // A row depends on its own request alone.
  const std::vector<Request> one = {{.seed = 9}};
  EXPECT_EQ(conditioner.Of(one).labels.item<int64_t>(), labels[2].item<int64_t>());
}

TEST(ClassConditioner, GivenLabelsAreTaken) {
  const ClassConditioner conditioner(10);
  const std::vector<Request> requests = {{.seed = 1, .label = 4}, {.seed = 2}, {.seed = 3, .label = -1}};
  const Tensor labels = conditioner.Of(requests).labels;
  EXPECT_EQ(labels[0].item<int64_t>(), 4);
  EXPECT_EQ(labels[1].item<int64_t>(), LabelsFor(std::vector<Seed>{2}, 10).item<int64_t>());
  EXPECT_EQ(labels[2].item<int64_t>(), -1);
  EXPECT_EQ(conditioner.None()->labels.item<int64_t>(), -1);
}

TEST(ClassConditioner, RefusesWhatTheModelCannotServe) {
  const std::vector<Request> ten = {{.seed = 1, .label = 10}}, below = {{.seed = 1, .label = -2}},
                             none = {{.seed = 1, .label = -1}};
  EXPECT_ERROR(ClassConditioner(10).Of(ten), Errc::kBadOption, "class 10, must be in [-1, 9]");
  EXPECT_ERROR(ClassConditioner(10).Of(below), Errc::kBadOption, "class -2, must be in [-1, 9]");
  EXPECT_ERROR(ClassConditioner(0).Of(ten), Errc::kBadOption, "class 10 is asked of a model without classes");
  EXPECT_FALSE(ClassConditioner(0).None());
  const ClassConditioner always_labelled(10, /*has_none=*/false);
  EXPECT_FALSE(always_labelled.None());
  EXPECT_ERROR(always_labelled.Of(none), Errc::kBadOption, "class -1, must be in [0, 9]");
  EXPECT_TRUE(ClassConditioner(0).Of(RequestsFor(std::vector<Seed>{1, 2})).empty());
}

// A network that is told a named tensor: what a text model is to guidance.
class TextNetwork : public Denoiser {
 public:
  PredictionType prediction_type() const override { return PredictionType::kNoise; }
  Tensor Predict(const Tensor& x, const NoiseLevel&, const Condition& condition) const override {
    return x * condition.tensors.at("text").reshape({-1, 1});
  }
};

// The unconditional side is -1, whatever the request.
class Texts : public Conditioner {
 public:
  Condition Of(std::span<const Request> requests) const override {
    return {.tensors = {{"text", torch::arange(static_cast<double>(requests.size())) + 1}}};
  }
  std::optional<Condition> None() const override {
    return Condition{.tensors = {{"text", torch::full({1}, -1.0)}}};
  }
};

TEST(Guidance, AsksTheConditionerForTheOtherSideWhateverItConsistsOf) {
  const GuidedDenoiser guided(std::make_shared<TextNetwork>(), *Texts().None(), 2.5);
  const Tensor x = torch::randn({3, 4});
  const Condition condition = Texts().Of(std::vector<Request>(3));
  const Tensor text = condition.tensors.at("text").reshape({-1, 1});
  const Tensor expected = -x + 2.5 * (x * text + x);
  EXPECT_TRUE(testing::Close(guided.Predict(x, {}, condition), expected, 1e-6, 1e-6));
}

// A sample's own scale takes the place of the common one, and the network is not told of it.
TEST(Guidance, EachSampleMayHaveItsOwnScale) {
  const auto network = std::make_shared<TextNetwork>();
  const Condition none = *Texts().None();
  const Tensor x = torch::randn({3, 4});
  Condition condition = Texts().Of(std::vector<Request>(3));
  const std::vector<double> scales = {0, 2.5, 7};
  Condition own = condition;
  own.tensors[kGuidanceEntry] = torch::tensor(scales, torch::kFloat64);
  const Tensor together = GuidedDenoiser(network, none, 100).Predict(x, {}, own);
  EXPECT_EQ(together.scalar_type(), torch::kFloat32);
  for (int64_t i = 0; i < 3; ++i) {
    const GuidedDenoiser alone(network, none, scales[i]);
    EXPECT_TRUE(testing::Close(together[i], alone.Predict(x, {}, condition)[i], 1e-6, 1e-6)) << i;
  }
}

TEST(GuidanceConditioner, DrawsAScaleOfTheRangeByTheSeedAlone) {
  const auto labels = std::make_shared<ClassConditioner>(10);
  const GuidanceConditioner conditioner(labels, {3, 9});
  const std::vector<Seed> seeds = SeedRange(0, 2000);
  const Condition all = conditioner.Of(RequestsFor(seeds));
  EXPECT_TRUE(testing::SameBits(all.labels, LabelsFor(seeds, 10)));
  const Tensor& scales = all.tensors.at(kGuidanceEntry);
  ASSERT_EQ(scales.sizes(), at::IntArrayRef({2000}));
  EXPECT_GE(scales.min().item<double>(), 3);
  EXPECT_LE(scales.max().item<double>(), 9);
  // Evenly over the range: the error of a mean of 2000 is 0.04, that of a deviation (6 / sqrt(12)) 0.02.
  EXPECT_NEAR(scales.mean().item<double>(), 6, 0.2);
  EXPECT_NEAR(scales.std().item<double>(), 1.73, 0.1);
  const Tensor of_class = scales.masked_select(all.labels.eq(0));  // not told by the label
  EXPECT_NEAR(of_class.mean().item<double>(), 6, 0.6);
  const std::vector<Request> one = {{.seed = 1234, .label = 2}};
  EXPECT_EQ(conditioner.Of(one).tensors.at(kGuidanceEntry).item<double>(), scales[1234].item<double>());
  EXPECT_EQ(conditioner.Placeholder(4).tensors.at(kGuidanceEntry).size(0), 4);
}

// Doubles on the way to images.
class Doubling : public ImageCodec {
 public:
  Tensor Decode(const Tensor& latents) const override { return 2 * latents; }
  Tensor Encode(const Tensor& images) const override { return images / 2; }
};

TEST(Model, ImagesAreDecodedWhereThereIsACodec) {
  Model model;
  const Tensor states = torch::randn({2, 3, 4, 4});
  EXPECT_TRUE(testing::SameBits(ImagesOf(model, states), states));
  model.codec = std::make_shared<Doubling>();
  EXPECT_TRUE(testing::SameBits(ImagesOf(model, states), 2 * states));
  // In parts, and without a graph.
  const Tensor attached = states.clone().requires_grad_();
  EXPECT_TRUE(testing::SameBits(ImagesOf(model, attached, 1), 2 * states));
  EXPECT_FALSE(ImagesOf(model, attached).requires_grad());
}

TEST(Model, ACardWithoutFeaturesSaysSo) {
  ModelCard card;
  card.name = "own";
  EXPECT_ERROR(FeatureFileOf(card), Errc::kBadOption, "model own names no feature network");
  card.features = "fashion-features";
  EXPECT_EQ(FeatureFileOf(card).filename(), "fashion-features.safetensors");
  card.features = "some/where.safetensors";
  EXPECT_EQ(FeatureFileOf(card), "some/where.safetensors");
}

}  // namespace
}  // namespace gas
