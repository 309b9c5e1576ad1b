// Discriminators on the encoder of every reference network.
#include "gas/models/feature_discriminator.h"

#include "gas/models/edm/edm_denoiser.h"
#include "gas/nn/state_dict.h"
#include "gas/train/adversarial_loss.h"
#include "support/expect.h"
#include "support/networks.h"

namespace gas {
namespace {

using testing::Close;
using testing::Fixture;

std::shared_ptr<edm::Precond> NetworkOf(const std::string& name) {
  return testing::ReferenceNetwork(Fixture("edm_networks/" + name));
}

std::shared_ptr<const EncoderFeatures> EncoderOf(const std::shared_ptr<edm::Precond>& network) {
  return std::make_shared<edm::EdmEncoder>(network);
}

Tensor ImagesFor(const edm::Precond& network, int64_t batch) {
  const edm::UNetConfig& c = network.config().network;
  return torch::randn({batch, c.in_channels, c.img_resolution, c.img_resolution}) * 0.5;
}

Tensor NetworkLabels(const edm::Precond& network) {
  return network.config().network.label_dim > 0 ? torch::tensor({1, -1}) : torch::tensor({-1, -1});
}

TEST(FeatureDiscriminator, ItsDefaultSeesEachResolutionOnceAndOwnsItsHeadsAlone) {
  for (const std::string& name : testing::ReferenceNetworkNames()) {
    SCOPED_TRACE(name);
    torch::manual_seed(3);
    const auto network = NetworkOf(name);
    FeatureDiscriminator discriminator(EncoderOf(network), {.width = 5});
    const auto levels = network->config().network.channel_mult.size();
    EXPECT_EQ(discriminator.config().maps.size(), levels);
    EXPECT_EQ(NamedParameters(discriminator).size(), 4 * levels);  // two convolutions with bias per head
    for (const auto& [weight, value] : StateDict(discriminator))
      EXPECT_TRUE(weight.starts_with("head")) << weight;
    for (const Tensor& parameter : network->parameters()) EXPECT_FALSE(parameter.requires_grad());
    const Tensor logits = discriminator.forward(ImagesFor(*network, 2), NetworkLabels(*network));
    EXPECT_EQ(logits.sizes(), at::IntArrayRef({2}));
    // Heads keep the variance of scaled maps, so a fresh score is of order one.
    EXPECT_LT(logits.abs().max().item<double>(), 20);
  }
}

// The score from the state dictionary alone: sum over noise levels and maps of the mean over positions of
// score(leaky(hidden(map / scale), 0.2)).
TEST(FeatureDiscriminator, ScoresAsItsDefinitionSays) {
  torch::manual_seed(5);
  const auto network = NetworkOf("edm_adm_small");
  const auto encoder = EncoderOf(network);
  FeatureDiscriminator discriminator(encoder, {.sigmas = {0.1, 0.5}, .width = 5});
  const auto weights = StateDict(discriminator);
  const Tensor images = ImagesFor(*network, 2), labels = NetworkLabels(*network);
  Tensor expected = torch::zeros({2});
  int64_t head = 0;
  for (const double sigma : {0.1, 0.5}) {
    const auto features = encoder->Maps(images, sigma, {.labels = labels});
    for (const int64_t map : discriminator.config().maps) {
      const auto of = [&](const char* name) { return weights.at("head" + std::to_string(head) + name); };
      const Tensor hidden =
          torch::conv2d(features[map] / of(".scale"), of(".hidden.weight"), of(".hidden.bias"));
      const Tensor active = torch::where(hidden > 0, hidden, 0.2 * hidden);
      expected += torch::conv2d(active, of(".score.weight"), of(".score.bias")).mean({1, 2, 3});
      ++head;
    }
  }
  EXPECT_TRUE(Close(discriminator.forward(images, labels), expected, 1e-4, 1e-5));
}

TEST(FeatureDiscriminator, RowsDoNotMixAndLabelsMatterWhereTheNetworkHasThem) {
  for (const std::string& name : testing::ReferenceNetworkNames()) {
    SCOPED_TRACE(name);
    torch::manual_seed(4);
    const auto network = NetworkOf(name);
    FeatureDiscriminator discriminator(EncoderOf(network), {.sigmas = {0.1, 0.5}});
    const Tensor x = ImagesFor(*network, 2), labels = NetworkLabels(*network);
    const Tensor both = discriminator.forward(x, labels);
    const Tensor second = discriminator.forward(x.slice(0, 1), labels.slice(0, 1));
    EXPECT_TRUE(Close(second, both.slice(0, 1), 1e-4, 1e-5));  // float32, another batch size
    const Tensor without = discriminator.forward(x, {});
    EXPECT_TRUE(Close(without[1], both[1], 1e-4, 1e-5));
    EXPECT_EQ(bool(Close(without[0], both[0], 1e-4, 1e-5)), network->config().network.label_dim == 0);
  }
}

// d/dweight of R1 + R2 in float64, against central differences along a random direction; and float32, whose
// normalisation is a fused function of its own, against float64.
TEST(FeatureDiscriminator, DerivativeOfThePenaltiesByFiniteDifferences) {
  for (const std::string& name : testing::ReferenceNetworkNames()) {
    SCOPED_TRACE(name);
    torch::manual_seed(12);
    const auto network = NetworkOf(name);
    FeatureDiscriminator discriminator(EncoderOf(network), {.width = 6});
    const LabelledImages real{ImagesFor(*network, 2), NetworkLabels(*network)},
        fake{ImagesFor(*network, 2), real.labels};
    const auto named = NamedParameters(discriminator);
    std::vector<Tensor> values;
    for (const auto& [weight, value] : named) values.push_back(value);
    const auto penalty = [&](torch::Dtype dtype) {
      const auto loss = DiscriminatorLossOf(discriminator, {real.images.to(dtype), real.labels},
                                            {fake.images.to(dtype), fake.labels}, {});
      return (loss.r1 + loss.r2).sum();
    };
    const auto gradients = [&](torch::Dtype dtype) {
      return torch::autograd::grad({penalty(dtype)}, values, {}, false, false, /*allow_unused=*/true);
    };
    const auto narrow = gradients(torch::kFloat32);
    network->to(torch::kFloat64);
    discriminator.to(torch::kFloat64);
    const auto wide = gradients(torch::kFloat64);
    size_t index = 0;
    for (const auto& [weight, value] : named) {
      const Tensor gradient = wide[index].defined() ? wide[index] : torch::zeros_like(value);
      // A kink of the leaky ReLU between the two precisions moves a whole position's share.
      if (wide[index].defined()) {
        EXPECT_TRUE(Close(narrow[index], gradient, 2e-2, 1e-9)) << weight;
      }
      ++index;
      const Tensor direction = torch::randn_like(value);
      constexpr double kStep = 1e-7;  // so small that no activation passes its kink, where R jumps
      const auto at = [&, &value = value](double step) {
        value.detach().add_(direction, step);
        const double result = penalty(torch::kFloat64).item<double>();
        value.detach().add_(direction, -step);
        return result;
      };
      const double numeric = (at(kStep) - at(-kStep)) / (2 * kStep);
      const double exact = (gradient * direction).sum().item<double>();
      EXPECT_NEAR(numeric, exact, 1e-5 * std::abs(exact) + 1e-8 * at(0))
          << weight;  // rounding of R over the step
      if (!weight.ends_with("bias")) {
        EXPECT_GT(std::abs(exact), 1e-4 * at(0)) << weight;
      }
    }
  }
}

TEST(FeatureDiscriminator, LearnsToTellSharpFromBlurred) {
  torch::manual_seed(7);
  const auto network = NetworkOf("edm_ddpmpp");
  FeatureDiscriminator discriminator(EncoderOf(network), {.width = 16});
  const auto sharp = [&] { return LabelledImages{ImagesFor(*network, 6), {}}; };
  const auto blurred = [&] {
    const Tensor x = ImagesFor(*network, 6);
    return LabelledImages{torch::upsample_nearest2d(torch::avg_pool2d(x, 2), {x.size(2), x.size(3)}), {}};
  };
  DiscriminatorLoss loss;
  for (int step = 0; step < 14; ++step) {
    discriminator.zero_grad();
    loss = DiscriminatorLossOf(discriminator, sharp(), blurred(), {.gamma = 0.01});
    loss.loss.backward();
    torch::NoGradGuard no_grad;
    for (Tensor& parameter : discriminator.parameters()) parameter.sub_(parameter.grad(), 0.05);
  }
  EXPECT_GT(loss.RealAboveFake(), 0.8);
}

TEST(FeatureDiscriminator, RefusesWhatCannotBe) {
  const auto network = NetworkOf("edm_ddpmpp");
  EXPECT_ERROR(FeatureDiscriminator(EncoderOf(network), {.sigmas = {}}), Errc::kBadOption, "no noise level");
  EXPECT_ERROR(FeatureDiscriminator(EncoderOf(network), {.sigmas = {0.0}}), Errc::kBadOption,
               "noise level 0, must be positive");
  EXPECT_ERROR(FeatureDiscriminator(EncoderOf(network), {.maps = {99}}), Errc::kBadOption,
               "map 99, must be in [0, ");
  EXPECT_ERROR(FeatureDiscriminator(EncoderOf(network), {.width = 0}), Errc::kBadOption,
               "width = 0, must be in [1, 8192]");
}

}  // namespace
}  // namespace gas
