#include "gas/fit/coefficient_groups.h"

#include "fit/problems.h"
#include "support/expect.h"

namespace gas {
namespace {

using testing::Close;

// Two components in several bands, on a state whose order of frequencies is not its own inverse.
class CoefficientGroupsTest : public ::testing::Test {
 protected:
  CoefficientGroupsTest() {
    torch::manual_seed(2);
    const Tensor rotation = std::get<0>(torch::linalg_qr(torch::randn({2, 2}, torch::kFloat64)));
    basis_ = MakeSpectralBasis({2, 4, 5}, 6, rotation.contiguous());
  }

  SpectralBasisPtr basis_;
  Tensor state_ = testing::NoiseOf(3, 4, {2, 4, 5});
};

TEST_F(CoefficientGroupsTest, UnflattenIsTheInverseOfFlatten) {
  const CoefficientGroups groups(basis_);
  EXPECT_EQ(groups.count(), 2 * basis_->bands());
  const Tensor flat = groups.Flatten(state_);
  EXPECT_EQ(flat.sizes(), at::IntArrayRef({4, 40}));
  EXPECT_TRUE(Close(groups.Unflatten(flat, state_.sizes()), state_, 1e-12, 0));
}

// A group is the frequencies of one band of one component.
TEST_F(CoefficientGroupsTest, AGroupIsABandOfAComponent) {
  const CoefficientGroups groups(basis_);
  const Tensor flat = groups.Flatten(state_), band = basis_->BandOfFrequency();
  const SpectralTransform transform(*basis_, state_);
  const Tensor spectrum = transform.Forward(state_);
  for (int64_t group = 0; group < groups.count(); ++group) {
    Tensor expected = torch::zeros_like(spectrum);
    const int64_t component = group / basis_->bands();
    expected.select(1, component).copy_(spectrum.select(1, component) * band.eq(group % basis_->bands()));
    const Tensor actual = transform.Forward(groups.UnflattenGroup(flat, group, state_.sizes()));
    EXPECT_TRUE(Close(actual, expected, 1e-12, 1e-12)) << group;
    EXPECT_EQ(groups.Slice(flat, group).size(1), band.eq(group % basis_->bands()).sum().item<int64_t>());
  }
}

TEST_F(CoefficientGroupsTest, WithoutBandsThereIsOneOfEverything) {
  for (const SpectralBasisPtr& basis : {SpectralBasisPtr(), MakeSpectralBasis({2, 4, 5}, 1)}) {
    const CoefficientGroups groups(basis);
    EXPECT_EQ(groups.count(), 1);
    EXPECT_TRUE(testing::SameBits(groups.Unflatten(groups.Flatten(state_), state_.sizes()), state_));
  }
}

}  // namespace
}  // namespace gas
