#include "gas/models/self_embedding.h"

#include "gas/models/edm/edm_denoiser.h"
#include "support/expect.h"
#include "support/gradient.h"
#include "support/networks.h"

namespace gas {
namespace {

// Tiny networks of each kind: standard and residual encoders, class labels, VP's lowest noise level.
class SelfPerceptual : public ::testing::TestWithParam<const char*> {
 protected:
  SelfPerceptual() {
    network_->to(torch::kFloat64);
    torch::manual_seed(8);
    const edm::UNetConfig& c = network_->config().network;
    a_ = torch::rand({2, c.in_channels, c.img_resolution, c.img_resolution}, torch::kFloat64) * 2 - 1;
    b_ = torch::rand_like(a_) * 2 - 1;
  }
  Tensor Distance(const Tensor& a, const Tensor& b) const {
    return (SelfEmbedding(encoder_, a) - SelfEmbedding(encoder_, b)).square().sum(1);
  }

  std::shared_ptr<edm::Precond> network_ =
      testing::ReferenceNetwork(testing::Fixture(std::string("edm_networks/") + GetParam()));
  edm::EdmEncoder encoder_{network_};
  Tensor a_, b_;
};

TEST_P(SelfPerceptual, IsZeroForEqualImagesAndPositiveForOthers) {
  EXPECT_TRUE(testing::SameBits(Distance(a_, a_), torch::zeros({2}, torch::kFloat64)));
  EXPECT_GT(Distance(a_, b_).min().item<double>(), 1e-3);
  // Unit vectors differ by 2 at most, and each resolution is a mean over positions.
  const auto levels = static_cast<double>(network_->config().network.channel_mult.size());
  EXPECT_LE(Distance(a_, b_).max().item<double>(), 4 * levels);
}

TEST_P(SelfPerceptual, GradientIsThatOfDifferences) {
  const Tensor target = SelfEmbedding(encoder_, b_).detach();
  const auto distance = [&](const Tensor& x) { return (SelfEmbedding(encoder_, x) - target).square().sum(); };
  EXPECT_TRUE(testing::GradientMatches(distance, a_));
}

// The embedding is what the header says, put together here from the maps.
TEST_P(SelfPerceptual, TakesTheLastMapOfEachResolution) {
  const double sigma = std::max(kSelfSigma, network_->config().sigma_min);
  std::map<int64_t, Tensor> last;
  for (const Tensor& map : network_->EncoderFeatures(a_, Scalar(sigma), {})) last[-map.size(2)] = map;
  EXPECT_EQ(last.size(), network_->config().network.channel_mult.size());
  std::vector<Tensor> parts;
  for (const auto& [resolution, map] : last) {
    const Tensor unit = map / map.norm(2, {1}, true);
    parts.push_back((unit / std::sqrt(static_cast<double>(resolution * resolution))).flatten(1));
  }
  // The floor under the norm, 1e-10 beside squared norms of order 1.
  EXPECT_TRUE(testing::Close(SelfEmbedding(encoder_, a_), torch::cat(parts, 1), 1e-6, 0));
}

INSTANTIATE_TEST_SUITE_P(Networks, SelfPerceptual,
                         ::testing::Values("edm_adm_small", "edm_ddpmpp", "edm_ncsnpp", "vp_ddpmpp"));

}  // namespace
}  // namespace gas
