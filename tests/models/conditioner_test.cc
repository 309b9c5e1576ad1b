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
