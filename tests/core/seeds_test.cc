#include "gas/core/seeds.h"

#include <map>

#include <ATen/CPUGeneratorImpl.h>

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

// The words of the Mersenne Twister itself, which no rounding can change: of its authors' init_genrand below
// 2^32, as every program with LibTorch has it, and of their init_by_array above, which is what Python's
// random.seed(n) begins with (random.getrandbits(32) three times).
TEST(Noise, GeneratorsGiveTheWordsOfTheMersenneTwister) {
  const std::map<Seed, std::vector<uint32_t>> expected = {
      {0, {2357136044, 2546248239, 3071714933}},
      {5, {953453411, 236996814, 3739766767}},
      {5489, {3499211612, 581869302, 3890346734}},
      {0xffffffff, {419326371, 479346978, 3918654476}},
      {0x100000000, {485306839, 1508871100, 1794561286}},
      {0x100000005, {675479763, 2085189291, 1213270837}},
      {0x7fffffffffffffff, {1359979423, 2819855560, 2711238091}},
  };
  for (const auto& [seed, words] : expected) {
    at::Generator generator = GeneratorOf(seed);
    for (const uint32_t word : words) {
      EXPECT_EQ(generator.get<at::CPUGeneratorImpl>()->random(), word) << "seed " << seed;
    }
  }
}

// A sample's picture is a function of these numbers for good: Box and Muller's of the words above, computed
// in double in Python. In float32 the logarithm and the cosine differ between vector units and mathematical
// libraries in their last digits, and 2 pi u is rounded before its cosine is taken: 2e-6 is a few digits of
// numbers up to 4. LibTorch makes sixteen numbers and more in another way than fewer.
TEST(Noise, OfASeedIsPinned) {
  const auto first_numbers = [](Seed seed, int64_t count) {
    return NoiseFor(std::vector<Seed>{seed}, {count}).flatten().slice(0, 0, 4);
  };
  const auto expect = [&](Seed seed, int64_t count, const std::vector<float>& numbers) {
    EXPECT_TRUE(testing::Close(first_numbers(seed, count), torch::tensor(numbers), 0, 2e-6))
        << "seed " << seed << ", " << count << " numbers: " << first_numbers(seed, count);
  };
  expect(0, 16, {-1.1258398f, -1.1523602f, -0.25057857f, -0.43387885f});
  expect(12345, 16, {-1.4798078f, 0.48730611f, -3.0127939f, 0.44385521f});
  expect(0x100000005, 16, {-0.19117621f, 0.5151038f, 0.79736662f, 1.0756611f});
  expect(0, 4, {1.5409961f, -0.29342891f, -2.1787894f, 0.56843128f});
  expect(0x100000005, 4, {1.0250811f, 0.68587718f, 1.45584f, -0.77835432f});
}

TEST(Noise, SeedsThatDifferInTheirUpperHalfAlone) {
  for (const Seed seed : {Seed{0}, Seed{5}, Seed{0xffffffff}}) {
    std::vector<Seed> alike;
    for (const Seed upper : {0, 1, 2, 0x7fffffff}) alike.push_back(seed + (upper << 32));
    const Tensor noise = NoiseFor(alike, {1, 8, 8});
    for (int64_t i = 0; i < noise.size(0); ++i) {
      for (int64_t j = 0; j < i; ++j) {
        // Independent normal numbers are sqrt(2) apart on average; 64 of them never nearly agree.
        EXPECT_GT((noise[i] - noise[j]).square().mean().item<double>(), 0.5) << alike[i] << " " << alike[j];
      }
    }
  }
}

TEST(Labels, OfASeedArePinned) {
  const std::vector<Seed> seeds = {
      0, 1, 2, 3, 4, 5, 100, 0xffffffff, 0x100000000, 0x100000005, 0x7fffffffffffffff};
  const Tensor expected = torch::tensor({5, 5, 0, 3, 8, 8, 4, 0, 6, 8, 9}, torch::kInt64);
  EXPECT_TRUE(SameBits(LabelsFor(seeds, 10), expected)) << LabelsFor(seeds, 10);
}

// The first is the generator's own known answer; all are those of the published algorithm, in Python.
TEST(MixBits, IsSplitMix64) {
  const std::map<uint64_t, uint64_t> expected = {
      {0, 0xe220a8397b1dcdaf},   {1, 0x910a2dec89025cc1},           {2, 0x975835de1c9756ce},
      {100, 0x23259b94f13cf544}, {0x100000000, 0xc42c5a1aa3820138}, {0x7fffffffffffffff, 0x2a67d7552e039ea7}};
  for (const auto& [value, bits] : expected) EXPECT_EQ(MixBits(value), bits) << value;
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
  EXPECT_EQ(ParseSeeds("0-39,50-59", 50).size(), 50u);
  EXPECT_ERROR(ParseSeeds("0-39,50-60", 50), Errc::kBadOption, "more than 50 seeds");
}

TEST(Nearest, FindsTheSmallestEdit) {
  const std::vector<std::string> names = {"ddim", "dpmpp-3m", "dpmpp-2m"};
  EXPECT_EQ(NearestName("dpmp-3m", names), "dpmpp-3m");
  EXPECT_EQ(NearestName("x", std::vector<std::string>()), "");
}

}  // namespace
}  // namespace gas
