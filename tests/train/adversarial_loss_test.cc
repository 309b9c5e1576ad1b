// Adversarial losses and the augmentation in front of the discriminator.
#include "gas/train/adversarial_loss.h"

#include "gas/core/seeds.h"
#include "gas/models/r3gan/discriminator.h"
#include "gas/nn/state_dict.h"
#include "support/expect.h"

namespace gas {
namespace {

using testing::Close;
using testing::SameBits;

// D(x) = sum(w x) + |x|^2 / 2, whose gradient w + x and penalties are known.
class Quadratic : public Discriminator {
 public:
  Quadratic() {
    weight_ =
        register_parameter("weight", torch::linspace(-1, 1, 2 * 3 * 3, torch::kFloat64).reshape({2, 3, 3}));
  }
  Tensor forward(const Tensor& images, const Tensor& labels) override {
    seen = images.detach();
    seen_labels = labels;
    return (weight_ * images + images.square() / 2).sum({1, 2, 3});
  }
  const Tensor& weight() const { return weight_; }
  Tensor seen, seen_labels;

 private:
  Tensor weight_;
};

class AdversarialLoss : public ::testing::Test {
 protected:
  AdversarialLoss() { torch::manual_seed(8); }
  Quadratic discriminator_;
  LabelledImages real_{torch::randn({4, 2, 3, 3}, torch::kFloat64), {}};
  LabelledImages fake_{torch::randn({4, 2, 3, 3}, torch::kFloat64), {}};
};

TEST_F(AdversarialLoss, PenaltiesAndTheirGradientAreTheKnownOnes) {
  const double gamma = 0.7;
  const auto loss = DiscriminatorLossOf(discriminator_, real_, fake_, {.gamma = gamma});
  const Tensor w = discriminator_.weight().detach();
  EXPECT_TRUE(Close(loss.r1, (w + real_.images).square().sum({1, 2, 3}), 1e-14, 0));
  EXPECT_TRUE(Close(loss.r2, (w + fake_.images).square().sum({1, 2, 3}), 1e-14, 0));
  const Tensor u = loss.real_logits - loss.fake_logits;
  EXPECT_TRUE(Close(loss.adversarial, (-u).exp().log1p(), 1e-12, 0));
  loss.loss.backward();
  // d/dw: of softplus(-u) -sigmoid(-u) (real - fake), of gamma/2 |w + x|^2 gamma (w + x).
  const Tensor slope = torch::sigmoid(-u).reshape({-1, 1, 1, 1});
  const Tensor difference = real_.images - fake_.images, sum = real_.images + fake_.images;
  const Tensor expected = (-slope * difference + gamma * (2 * w + sum)).mean(0);
  EXPECT_TRUE(Close(discriminator_.weight().grad(), expected, 1e-12, 0));
  EXPECT_FALSE(real_.images.requires_grad());
}

TEST_F(AdversarialLoss, NonSaturatingAndItsStudent) {
  const AdversarialOptions options{.kind = AdversarialKind::kNonSaturating, .gamma = 0};
  const auto loss = DiscriminatorLossOf(discriminator_, real_, fake_, options);
  const Tensor expected = (-loss.real_logits).exp().log1p() + loss.fake_logits.exp().log1p();
  EXPECT_TRUE(Close(loss.adversarial, expected, 1e-12, 0));
  EXPECT_TRUE(Close(loss.loss, expected.mean(), 1e-12, 0));
  EXPECT_EQ(loss.r1.abs().max().item<double>(), 0);
  const auto student = StudentLossOf(discriminator_, real_, fake_, options);
  EXPECT_TRUE(Close(student.adversarial, (-student.fake_logits).exp().log1p(), 1e-12, 0));
  EXPECT_FALSE(student.real_logits.defined());
}

TEST_F(AdversarialLoss, StudentsGradientIsTheKnownOneAndLeavesTheDiscriminatorAlone) {
  fake_.images.requires_grad_();
  const auto loss = StudentLossOf(discriminator_, real_, fake_, {});
  loss.loss.backward();
  const Tensor slope = torch::sigmoid(loss.real_logits - loss.fake_logits).reshape({-1, 1, 1, 1});
  const Tensor expected = -slope * (discriminator_.weight() + fake_.images) / 4;
  EXPECT_TRUE(Close(fake_.images.grad(), expected, 1e-12, 0));
  EXPECT_FALSE(discriminator_.weight().grad().defined());
  EXPECT_TRUE(discriminator_.weight().requires_grad());
}

TEST_F(AdversarialLoss, ReportsTheShareOfPairsInOrder) {
  const auto loss = DiscriminatorLossOf(discriminator_, {real_.images + 10, {}}, real_, {});
  EXPECT_EQ(loss.RealAboveFake(), 1.0);
  EXPECT_EQ(DiscriminatorLossOf(discriminator_, real_, real_, {}).RealAboveFake(), 0.0);
}

TEST_F(AdversarialLoss, AnEvaluationHasNoPenalties) {
  torch::NoGradGuard no_grad;
  const auto loss = DiscriminatorLossOf(discriminator_, real_, fake_, {});
  EXPECT_EQ((loss.r1 + loss.r2).abs().max().item<double>(), 0);
  EXPECT_TRUE(Close(loss.loss, loss.adversarial.mean(), 1e-15, 0));
}

TEST_F(AdversarialLoss, LabelsReachTheDiscriminatorBesideTheirImages) {
  real_.labels = torch::tensor({0, 1, 2, 3});
  fake_.labels = torch::tensor({4, 5, 6, -1});
  DiscriminatorLossOf(discriminator_, real_, fake_, {});
  EXPECT_TRUE(SameBits(discriminator_.seen_labels, torch::tensor({0, 1, 2, 3, 4, 5, 6, -1})));
}

TEST_F(AdversarialLoss, PairsAreAugmentedAlikeAndPenaltiesSeeTheSamplesBefore) {
  const AugmentOptions augment{.translation = 0.4, .cutout = 0.4, .brightness = 0.5};
  const LabelledImages ones{torch::ones({4, 2, 3, 3}, torch::kFloat64), {}};
  DiscriminatorLossOf(discriminator_, ones, ones, {.augment = augment}, 3);
  EXPECT_TRUE(SameBits(discriminator_.seen.slice(0, 0, 4), discriminator_.seen.slice(0, 4, 8)));
  EXPECT_TRUE(SameBits(discriminator_.seen.slice(0, 0, 4), Augment(ones.images, augment, 3)));
  const auto loss = DiscriminatorLossOf(discriminator_, real_, fake_, {.augment = augment}, 3);
  // By the chain rule, with the augmentation's own derivative: where nothing of the image arrives there is
  // none.
  const Tensor x = real_.images.clone().requires_grad_();
  const Tensor seen = Augment(x, augment, 3);
  const Tensor g = torch::autograd::grad({seen}, {x}, {discriminator_.weight().detach() + seen.detach()})[0];
  EXPECT_TRUE(Close(loss.r1, g.square().sum({1, 2, 3}), 1e-12, 0));
}

TEST_F(AdversarialLoss, RefusesWhatDoesNotFit) {
  EXPECT_ERROR(DiscriminatorLossOf(discriminator_, real_, {fake_.images.slice(0, 0, 3), {}}, {}),
               Errc::kBadOption, "real samples of shape [4, 2, 3, 3] and fake ones of [3, 2, 3, 3]");
  EXPECT_ERROR(StudentLossOf(discriminator_, real_, {fake_.images, torch::tensor({0, 1, 2, 3})}, {}),
               Errc::kBadOption, "must be for both or neither");
  EXPECT_ERROR(DiscriminatorLossOf(discriminator_, real_, fake_, {.gamma = -1}), Errc::kBadOption,
               "gamma = -1");
  EXPECT_ERROR(DiscriminatorLossOf(discriminator_, real_, fake_, {.augment = {.cutout = 1}}),
               Errc::kBadOption, "cutout = 1, must be in [0, 1)");
  EXPECT_ERROR(kAdversarialKindNames.FromName("relativist"), Errc::kBadOption, "did you mean relativistic?");
  EXPECT_EQ(kAdversarialKindNames.FromName("non-saturating"), AdversarialKind::kNonSaturating);
}

// A discriminator trained on two distributions that differ learns to tell them apart, under both losses.
TEST(AdversarialTraining, SeparatesWhatDiffers) {
  for (const auto kind : {AdversarialKind::kRelativistic, AdversarialKind::kNonSaturating}) {
    torch::manual_seed(5);
    r3gan::R3ganDiscriminator network(r3gan::ConfigFor(1, 8, 8));
    const auto sample = [](double level) {
      return LabelledImages{torch::randn({8, 1, 8, 8}) * 0.3 + level, {}};
    };
    double last = 0;
    for (int step = 0; step < 30; ++step) {
      network.zero_grad();
      const auto loss =
          DiscriminatorLossOf(network, sample(0.3), sample(-0.3), {.kind = kind, .gamma = 0.05});
      loss.loss.backward();
      torch::NoGradGuard no_grad;
      for (Tensor& parameter : network.parameters()) {
        if (parameter.grad().defined()) parameter.sub_(parameter.grad(), 0.05);
      }
      last = loss.RealAboveFake();
    }
    EXPECT_GT(last, 0.9);
  }
}

TEST(Augment, IsAFunctionOfTheSeedAndTheRowAlone) {
  torch::manual_seed(1);
  const Tensor x = torch::randn({6, 3, 8, 8});
  const Tensor once = Augment(x, kDiffAugment, 17);
  torch::rand({5});  // the global generator has no part in it
  EXPECT_TRUE(SameBits(Augment(x, kDiffAugment, 17), once));
  EXPECT_TRUE(SameBits(Augment(x.slice(0, 0, 4), kDiffAugment, 17), once.slice(0, 0, 4)));
  EXPECT_FALSE(SameBits(Augment(x, kDiffAugment, 18), once));
  EXPECT_TRUE(SameBits(Augment(x, {}, 17), x));
}

TEST(Augment, TranslationMovesTheImageAndFillsWithZeros) {
  const Tensor x = torch::rand({64, 1, 8, 8}) + 1;  // no zeros of its own
  const Tensor y = Augment(x, {.translation = 0.25}, 2);
  bool moved = false;
  for (int64_t i = 0; i < x.size(0); ++i) {
    int matches = 0;
    for (int64_t dy = -2; dy <= 2; ++dy) {
      for (int64_t dx = -2; dx <= 2; ++dx) {
        Tensor expected = torch::zeros({8, 8});
        const auto part = [](const Tensor& t, int64_t row, int64_t column, int64_t h, int64_t w) {
          return t.narrow(0, row, h).narrow(1, column, w);
        };
        const int64_t h = 8 - std::abs(dy), w = 8 - std::abs(dx);
        part(expected, std::max<int64_t>(dy, 0), std::max<int64_t>(dx, 0), h, w)
            .copy_(part(x[i][0], std::max<int64_t>(-dy, 0), std::max<int64_t>(-dx, 0), h, w));
        if (!torch::equal(expected, y[i][0])) continue;
        ++matches;
        moved = moved || dy != 0 || dx != 0;
      }
    }
    EXPECT_EQ(matches, 1) << i;
  }
  EXPECT_TRUE(moved);
}

TEST(Augment, CutoutRemovesOneSquareAtMostOfTheGivenSide) {
  const Tensor y = Augment(torch::ones({200, 2, 8, 8}), {.cutout = 0.5}, 9);
  EXPECT_TRUE(torch::equal(y.select(1, 0), y.select(1, 1)));
  const Tensor gone = (1 - y.select(1, 0)).sum({1, 2});
  EXPECT_EQ(gone.max().item<double>(), 16);
  EXPECT_GE(gone.min().item<double>(),
            4);  // a quarter of the square where its centre is a corner of the image
}

TEST(Augment, BrightnessAddsOneNumberFromTheInterval) {
  const Tensor y = Augment(torch::zeros({500, 2, 3, 3}, torch::kFloat64), {.brightness = 0.8}, 4);
  const Tensor added = y.select(1, 0).select(1, 0).select(1, 0);
  EXPECT_EQ((y - added.reshape({-1, 1, 1, 1})).abs().max().item<double>(), 0);
  EXPECT_LE(added.abs().max().item<double>(), 0.4);
  // Uniform on [-0.4, 0.4]: the mean of 500 has standard deviation 0.8 / sqrt(12 * 500).
  EXPECT_NEAR(added.mean().item<double>(), 0, 5 * 0.8 / std::sqrt(12.0 * 500));
  EXPECT_GT(added.max().item<double>() - added.min().item<double>(), 0.75);
}

}  // namespace
}  // namespace gas
