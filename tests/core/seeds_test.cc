#include "gas/core/seeds.h"

#include "gas/core/nearest.h"
#include "support/expect.h"

namespace gas {
namespace {

using testing::SameBits;

TEST(Noise, DoesNotDependOnBatchingOrEarlierDraws) {
  const std::vector<Seed> all{7, 8, 9};
  const Tensor together = NoiseFor(all, {3, 8, 8});
  torch::randn({100});
  EXPECT_TRUE(SameBits(together.slice(0, 1).contiguous(), NoiseFor(std::span(all).subspan(1), {3, 8, 8})));
  EXPECT_FALSE(torch::equal(together[0], together[1]));
}

TEST(Noise, LeavesTheGlobalGeneratorAlone) {
  torch::manual_seed(3);
  const Tensor expected = torch::randn({4});
  torch::manual_seed(3);
  NoiseFor(std::vector<Seed>{1, 2}, {5});
  LabelsFor(std::vector<Seed>{1, 2}, 10);
  EXPECT_TRUE(SameBits(torch::randn({4}), expected));
}

TEST(Labels, CoverAllClassesEvenly) {
  std::vector<Seed> seeds(5000);
  for (size_t i = 0; i < seeds.size(); ++i) seeds[i] = i;
  const Tensor counts = torch::bincount(LabelsFor(seeds, 10));
  EXPECT_EQ(counts.size(0), 10);
  EXPECT_GT(counts.min().item<int64_t>(), 400);
}

TEST(Seeds, ParseAndFormatAreInverse) {
  EXPECT_EQ(FormatSeeds(ParseSeeds("0-63,100")), "0-63,100");
  EXPECT_EQ(ParseSeeds("5,3-4"), (std::vector<Seed>{5, 3, 4}));
  for (const char* bad : {"", "1,", "a", "3-1", "1-2-3", "-4", "1.5", "99999999999999999999"}) {
    EXPECT_ERROR(ParseSeeds(bad), Errc::kBadOption, "seeds");
  }
  EXPECT_ERROR(ParseSeeds("0-99", 50), Errc::kBadOption, "more than 50 seeds");
}

TEST(Nearest, FindsTheSmallestEdit) {
  const std::vector<std::string> names = {"ddim", "dpmpp-3m", "dpmpp-2m"};
  EXPECT_EQ(NearestName("dpmp-3m", names), "dpmpp-3m");
  EXPECT_EQ(NearestName("x", std::vector<std::string>()), "");
}

}  // namespace
}  // namespace gas
