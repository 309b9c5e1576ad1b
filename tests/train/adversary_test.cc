// The weight, the step size and the turns of the discriminator, without a run around them.
#include "gas/train/adversary.h"

#include "support/expect.h"

namespace gas {
namespace {

// Scores a sample by the product of its entries with a trained vector.
class DotDiscriminator : public Discriminator {
 public:
  DotDiscriminator() { direction_ = register_parameter("direction", torch::zeros({4}, torch::kFloat64)); }
  Tensor forward(const Tensor& images, const Tensor&) override { return images.mv(direction_); }
  const Tensor& direction() const { return direction_; }

 private:
  Tensor direction_;
};

TEST(AdversaryWeight, WeightWaitsRisesAndHalves) {
  Adversary adversary(std::make_shared<DotDiscriminator>(),
                      {.weight = 0.4, .delay = 3, .ramp = 4, .every = 2});
  const double expected[] = {0, 0, 0, 0.1, 0.2, 0.3, 0.4, 0.4};
  for (int64_t i = 0; i < 8; ++i) {
    EXPECT_NEAR(adversary.WeightAt(i), expected[i], 1e-15) << i;
    EXPECT_EQ(adversary.LearnsAt(i), i % 2 == 0) << i;
  }
  adversary.Relax(0.5);
  EXPECT_NEAR(adversary.WeightAt(7), 0.2, 1e-15);
  const Adversary at_once(std::make_shared<DotDiscriminator>(), {.weight = 0.4, .delay = 3});
  EXPECT_EQ(at_once.WeightAt(2), 0);
  EXPECT_EQ(at_once.WeightAt(3), 0.4);
}

// The first step of Adam is the step size along the sign of each gradient, which here is that of real - fake.
TEST(AdversaryWeight, StepsAreAsLargeAsTheRelaxedStepSize) {
  torch::manual_seed(3);
  const LabelledImages real{torch::rand({6, 4}, torch::kFloat64) + 0.1, {}};
  const LabelledImages fake{-real.images, {}};
  for (const double relaxed : {1.0, 0.25}) {
    const auto network = std::make_shared<DotDiscriminator>();
    Adversary adversary(network, {.loss = {.gamma = 0}, .lr = 1e-3});
    adversary.Relax(relaxed);
    adversary.ComputeGradients(real, fake, 0);
    EXPECT_GT(adversary.ApplyGradients(), 0);
    EXPECT_TRUE(
        testing::Close(network->direction(), torch::full({4}, 1e-3 * relaxed, torch::kFloat64), 1e-6, 0));
  }
}

// A cold optimiser would go on to another result.
TEST(AdversaryWeight, AStateWithoutMomentsIsRefused) {
  const LabelledImages real{torch::rand({6, 4}, torch::kFloat64) + 0.1, {}}, fake{-real.images, {}};
  const AdversaryOptions options{.loss = {.gamma = 0}, .every = 2};
  const auto network = std::make_shared<DotDiscriminator>(),
             other_network = std::make_shared<DotDiscriminator>();
  Adversary adversary(network, options), other(other_network, options);
  const auto learn = [&](Adversary& one) {
    one.ComputeGradients(real, fake, 0);
    one.ApplyGradients();
  };
  // Iterations 0 and 2 of three.
  learn(adversary);
  learn(adversary);
  Checkpoint whole, without, fresh;
  adversary.Save(whole);
  for (const char* group : {"discriminator", "adversary"}) without.Put(group, whole.Group(group));
  other.Save(fresh);
  EXPECT_ERROR((other.Load(without, 3), 0), Errc::kBadFile, "Adam's state of direction is missing");
  EXPECT_ERROR((other.Load(whole, 2), 0), Errc::kBadFile, "is that after 2 steps, must be in [0, 1]");
  other.Load(fresh, 0);
  other.Load(whole, 3);
  learn(adversary);
  learn(other);
  EXPECT_TRUE(testing::SameBits(other_network->direction(), network->direction()));
}

// What no gradient reaches has no state of its own in the optimiser, and is not missing in a checkpoint.
TEST(AdversaryWeight, AParameterWithoutGradientsIsNotMissing) {
  struct Unused : DotDiscriminator {
    Unused() { register_parameter("unused", torch::ones({2}, torch::kFloat64)); }
  };
  const LabelledImages real{torch::rand({6, 4}, torch::kFloat64) + 0.1, {}}, fake{-real.images, {}};
  Adversary adversary(std::make_shared<Unused>(), {.loss = {.gamma = 0}});
  adversary.ComputeGradients(real, fake, 0);
  adversary.ApplyGradients();
  Checkpoint file;
  adversary.Save(file);
  Adversary other(std::make_shared<Unused>(), {.loss = {.gamma = 0}});
  other.Load(file, 1);
}

}  // namespace
}  // namespace gas
