// Properties of precision, recall, density and coverage that hold for any features.
#include "gas/metrics/neighbours.h"

#include <csignal>
#include <limits>

#include "gas/core/interrupt.h"
#include "gas/metrics/prdc.h"
#include "gas/metrics/precision_recall.h"
#include "support/expect.h"

namespace gas {
namespace {

Tensor Features(int64_t seed, int64_t count, int64_t width = 7) {
  torch::manual_seed(static_cast<uint64_t>(seed));
  return torch::randn({count, width});
}

Prdc PrdcOf(const Tensor& real, const Tensor& fake, int64_t k, int64_t at_once = kDistancesAtOnce) {
  return MeasurePrdc(FindNeighbourhoods(real, k, at_once), FindNeighbourhoods(fake, k, at_once), at_once);
}

PrecisionRecall ImprovedOf(const Tensor& real, const Tensor& fake, int64_t k,
                           int64_t at_once = kDistancesAtOnce) {
  return MeasurePrecisionRecall(FindNeighbourhoods(real, k, at_once), FindNeighbourhoods(fake, k, at_once),
                                at_once);
}

void ExpectSame(const Prdc& a, const Prdc& b) {
  EXPECT_EQ(a.precision, b.precision);
  EXPECT_EQ(a.recall, b.recall);
  EXPECT_EQ(a.density, b.density);
  EXPECT_EQ(a.coverage, b.coverage);
}

TEST(Neighbours, RadiiExcludeTheFeatureItself) {
  const Tensor line = torch::tensor({0.0f, 1.0f, 3.0f, 7.0f}).unsqueeze(1);
  const auto radii = [&](int64_t k) { return FindNeighbourhoods(line, k).radii; };
  EXPECT_TRUE(testing::SameBits(radii(1), torch::tensor({1.0, 1.0, 2.0, 4.0}, torch::kFloat64)));
  EXPECT_TRUE(testing::SameBits(radii(3), torch::tensor({7.0, 6.0, 4.0, 7.0}, torch::kFloat64)));
}

TEST(Neighbours, ValuesThatCannotBe) {
  const Tensor x = Features(1, 5);
  EXPECT_ERROR(FindNeighbourhoods(x, 5), Errc::kBadOption, "k = 5, must be in [1, 4] among 5 features");
  EXPECT_ERROR(FindNeighbourhoods(x, 0), Errc::kBadOption, "k = 0, must be in [1, 4]");
  EXPECT_ERROR(FindNeighbourhoods(x[0], 1), Errc::kBadOption, "features of shape [7], must be [N, F]");
  EXPECT_ERROR(FindNeighbourhoods(x / 0.0, 1), Errc::kNumeric, "features [5, 7]: not all are finite");
  const Neighbourhoods a = FindNeighbourhoods(x, 2);
  EXPECT_ERROR(MeasurePrdc(a, FindNeighbourhoods(x, 3)), Errc::kBadOption, "of k = 2 and 3, must be equal");
  EXPECT_ERROR(MeasurePrecisionRecall(a, FindNeighbourhoods(Features(1, 5, 3), 2)), Errc::kBadOption,
               "features of 7 and 3 components, must be equal");
}

TEST(Neighbours, AnInterruptEndsTheDistances) {
  const InterruptGuard guard;
  std::raise(SIGINT);
  int64_t blocks = 0;
  const Tensor x = Features(1, 5);
  EXPECT_ERROR((ForEachDistanceBlock(x, x, [&](const Tensor&, int64_t) { ++blocks; }), 0), Errc::kInterrupted,
               "interrupted by SIGINT");
  EXPECT_EQ(blocks, 0);
}

// For any k, as long as no feature has k equal others. Then each ball holds the feature itself and, the k-th
// other being on its border and so not inside, k - 1 others: a density of 1.
TEST(Prdc, IsOneForIdenticalSets) {
  const Tensor x = Features(2, 60);
  for (const int64_t k : {1, 3, 5, 59}) {
    SCOPED_TRACE(k);
    ExpectSame(PrdcOf(x, x, k), {.precision = 1, .recall = 1, .density = 1, .coverage = 1});
    const PrecisionRecall improved = ImprovedOf(x, x, k);
    EXPECT_EQ(improved.precision, 1);
    EXPECT_EQ(improved.recall, 1);
    EXPECT_EQ(improved.FScore(), 1);
  }
}

// Where balls have radius 0, strict comparison leaves them empty and the other kind keeps their centre.
TEST(Prdc, EqualFeaturesCoverThemselvesOnlyWithTheirBorder) {
  const Tensor same = torch::ones({9, 4});
  ExpectSame(PrdcOf(same, same, 3), {});
  EXPECT_EQ(ImprovedOf(same, same, 3).precision, 1);
  EXPECT_EQ(ImprovedOf(same, same, 3).recall, 1);
  EXPECT_EQ(PrecisionRecall{}.FScore(), 0);
}

TEST(Prdc, ACollapsedSetIsPreciseAndCoversLittle) {
  const Tensor real = Features(3, 400, 4), fake = real[0] + 1e-3 * Features(4, 300, 4);
  const Prdc p = PrdcOf(real, fake, 5);
  EXPECT_EQ(p.precision, 1);
  EXPECT_LT(p.recall, 0.01);
  EXPECT_LT(p.coverage, 0.1);  // the few reals in whose balls the one place lies
  EXPECT_LT(ImprovedOf(real, fake, 5).recall, 0.01);
  // The other way round: few fakes are near the one place, and their large balls hold all of it.
  EXPECT_EQ(PrdcOf(fake, real, 5).recall, 1);
  EXPECT_LT(PrdcOf(fake, real, 5).precision, 0.01);
}

TEST(Prdc, SetsFarApartShareNothing) { ExpectSame(PrdcOf(Features(5, 50), Features(6, 40) + 1000, 3), {}); }

// For two samples of one distribution, docs/math/metrics.md (8). A mean over 60 draws, within four standard
// errors.
TEST(Prdc, CoverageAndDensityOfOneDistributionAreAsExpectedAtAnySize) {
  constexpr int64_t kReals = 48, kNearest = 5, kDraws = 60;
  for (const int64_t fakes : {6, 24, 48, 96}) {
    SCOPED_TRACE(fakes);
    double missed = 1;
    for (int64_t l = 0; l < kNearest; ++l) {
      missed *= static_cast<double>(kReals - 1 - l) / static_cast<double>(kReals + fakes - 1 - l);
    }
    Tensor coverage = torch::empty({kDraws}, torch::kFloat64), density = torch::empty_like(coverage);
    for (int64_t i = 0; i < kDraws; ++i) {
      const Prdc p = PrdcOf(Features(100 + i, kReals), Features(1000 + i, fakes), kNearest);
      coverage[i] = p.coverage;
      density[i] = p.density;
    }
    const auto check = [&](const Tensor& values, double expected) {
      const double error = values.std().item<double>() / std::sqrt(static_cast<double>(kDraws));
      EXPECT_NEAR(values.mean().item<double>(), expected, 4 * error);
      EXPECT_LT(4 * error, 0.2 * expected);  // else this would say little
    };
    check(coverage, 1 - missed);
    check(density, 1);
  }
}

// The shares of a mixture of real and far fakes are known.
TEST(Prdc, CountsTheShareOfFakesThatAreReal) {
  const Tensor real = Features(7, 80), fake = torch::cat({real.slice(0, 0, 30), Features(8, 10) + 1000});
  const Prdc p = PrdcOf(real, fake, 1);
  EXPECT_DOUBLE_EQ(p.precision, 30.0 / 40);
  EXPECT_GE(p.coverage, 30.0 / 80);
}

TEST(Prdc, DoesNotDependOnTheOrderOfRows) {
  const Tensor real = Features(9, 150), fake = 0.8 * Features(10, 90) + 0.2;
  const Tensor shuffled_real = real.index_select(0, torch::randperm(150)), shuffled_fake = fake.flip(0);
  ExpectSame(PrdcOf(real, fake, 4), PrdcOf(shuffled_real, shuffled_fake, 4));
  EXPECT_EQ(ImprovedOf(real, fake, 4).precision, ImprovedOf(shuffled_real, shuffled_fake, 4).precision);
  EXPECT_EQ(ImprovedOf(real, fake, 4).recall, ImprovedOf(shuffled_real, shuffled_fake, 4).recall);
}

// With integer features there are ties everywhere, so a distance that changed in its last bit would show.
TEST(Prdc, DoesNotDependOnBlocks) {
  for (const Tensor& scale : {Scalar(1), Scalar(0.1)}) {
    const Tensor real = (2 * Features(11, 130)).round() * scale,
                 fake = (2 * Features(12, 70)).round() * scale;
    const Prdc whole = PrdcOf(real, fake, 3);
    const PrecisionRecall improved = ImprovedOf(real, fake, 3);
    EXPECT_GT(whole.recall, 0);
    EXPECT_LT(whole.recall, 1);
    for (const int64_t at_once : {1, 131, 1000}) {  // one row at a time, one or two, some
      SCOPED_TRACE(at_once);
      ExpectSame(PrdcOf(real, fake, 3, at_once), whole);
      EXPECT_EQ(ImprovedOf(real, fake, 3, at_once).precision, improved.precision);
      EXPECT_EQ(ImprovedOf(real, fake, 3, at_once).recall, improved.recall);
    }
  }
}

// Past the columns that are converted at once.
TEST(Neighbours, ManyColumnsAreAsFew) {
  const Tensor a = Features(13, 3, 2), b = Features(14, 5000, 2);
  std::vector<Tensor> blocks;
  ForEachDistanceBlock(
      a, b,
      [&](const Tensor& distances, int64_t row) {
        EXPECT_EQ(row, static_cast<int64_t>(blocks.size()));
        blocks.push_back(distances);
      },
      1);
  const Tensor difference = (a.to(torch::kFloat64).unsqueeze(1) - b.to(torch::kFloat64).unsqueeze(0));
  // Square root and two squares: a rounding each.
  EXPECT_TRUE(testing::Close(torch::cat(blocks), difference.square().sum(2).sqrt(), 1e-15, 0));
}

}  // namespace
}  // namespace gas
