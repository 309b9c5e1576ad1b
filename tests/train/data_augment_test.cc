#include "gas/train/data_augment.h"

#include "gas/io/image_folder.h"
#include "support/expect.h"

namespace gas {
namespace {

using testing::Close;
using testing::SameBits;

constexpr int64_t kSide = 32;

// A dark disc of a third of the side on white, [count,1,kSide,kSide], with its centre at (x, y) in pixels.
Tensor Disc(int64_t count, double x, double y, double radius = kSide / 6.0) {
  const Tensor position = torch::arange(kSide) + 0.5;
  const Tensor distance =
      ((position.unsqueeze(1) - y).square() + (position.unsqueeze(0) - x).square()).sqrt();
  return (2 * (distance - radius).clamp(0, 1) - 1)
      .to(torch::kFloat32)
      .expand({count, 1, kSide, kSide})
      .contiguous();
}

struct Centre {
  Tensor x, y, mass;  // [B], pixels
};

Centre CentreOf(const Tensor& images) {
  const Tensor dark = (1 - images.select(1, 0)) / 2;
  const Tensor position = torch::arange(images.size(3)) + 0.5;
  const Tensor mass = dark.sum({1, 2});
  return {(dark.sum(1) * position).sum(1) / mass, (dark.sum(2) * position).sum(1) / mass, mass};
}

Tensor NoLabels(int64_t count) { return torch::zeros({count}, torch::kInt64); }

TEST(DataAugment, IsAFunctionOfSeedAndRow) {
  const DataAugmentOptions all{.shift = 0.1, .scale = 0.2, .rotate = 30, .hue = 40, .flip = {0}};
  torch::manual_seed(1);
  const Tensor images = torch::rand({6, 3, kSide, kSide}) * 2 - 1;
  const Tensor once = AugmentData(images, NoLabels(6), all, 16, 7);
  torch::rand(5);
  EXPECT_TRUE(SameBits(AugmentData(images, NoLabels(6), all, 16, 7), once));
  EXPECT_FALSE(SameBits(AugmentData(images, NoLabels(6), all, 16, 8), once));
  // A row's change does not depend on the others.
  EXPECT_TRUE(SameBits(AugmentData(images.slice(0, 0, 2), NoLabels(2), all, 16, 7),
                       once.slice(0, 0, 2).contiguous()));
}

TEST(DataAugment, WithoutAnyPartItReduces) {
  torch::manual_seed(1);
  const Tensor images = torch::rand({2, 3, kSide, kSide}) * 2 - 1;
  EXPECT_TRUE(SameBits(AugmentData(images, NoLabels(2), {}, 16, 7), AreaResize(images, 16)));
}

TEST(DataAugment, SwitchingAPartOnLeavesTheOthersAsTheyWere) {
  const Tensor discs = Disc(64, 16, 16);
  const Centre shifted = CentreOf(AugmentData(discs, NoLabels(64), {.shift = 0.1}, kSide, 3));
  const Centre both = CentreOf(AugmentData(discs, NoLabels(64), {.shift = 0.1, .rotate = 90}, kSide, 3));
  EXPECT_TRUE(Close(both.x, shifted.x, 0, 0.05));
  EXPECT_TRUE(Close(both.y, shifted.y, 0, 0.05));
}

TEST(DataAugment, ShiftsAreUniformWithinTheBound) {
  const Centre moved = CentreOf(AugmentData(Disc(400, 16, 16), NoLabels(400), {.shift = 0.25}, kSide, 3));
  for (const Tensor& axis : {moved.x, moved.y}) {
    const Tensor shift = axis - kSide / 2;
    EXPECT_LE(shift.abs().max().item<double>(), 8.05);
    EXPECT_GT(shift.max().item<double>(), 7.5);
    EXPECT_LT(shift.min().item<double>(), -7.5);
    // Deviation of a mean of 400 uniform numbers: 8 / sqrt(3 * 400) = 0.23.
    EXPECT_LT(std::abs(shift.mean().item<double>()), 0.9);
  }
  EXPECT_LT(std::abs(((moved.x - 16) * (moved.y - 16)).mean().item<double>()), 4.0);
}

TEST(DataAugment, ScaleChangesTheAreaByItsSquare) {
  const Tensor mass = CentreOf(AugmentData(Disc(200, 16, 16), NoLabels(200), {.scale = 0.2}, kSide, 3)).mass;
  const double before = CentreOf(Disc(1, 16, 16)).mass.item<double>();
  EXPECT_NEAR(mass.min().item<double>() / before, 0.64, 0.03);
  EXPECT_NEAR(mass.max().item<double>() / before, 1.44, 0.03);
}

TEST(DataAugment, RotationKeepsTheDistanceToTheMiddle) {
  const Tensor turned = AugmentData(Disc(200, 24, 16, 3), NoLabels(200), {.rotate = 45}, kSide, 3);
  const Centre centre = CentreOf(turned);
  const Tensor angle = torch::atan2(centre.y - 16, centre.x - 16) * (180 / M_PI);
  EXPECT_TRUE(Close(torch::hypot(centre.x - 16, centre.y - 16), torch::full({200}, 8.0f), 0, 0.1));
  EXPECT_LE(angle.abs().max().item<double>(), 45.5);
  EXPECT_GT(angle.max().item<double>(), 42);
  EXPECT_LT(angle.min().item<double>(), -42);
}

TEST(DataAugment, OnlyTheListedClassesAreMirrored) {
  const Tensor labels = torch::arange(300) % 3;
  const DataAugmentOptions flip_two{.flip = {0, 2}};
  const Tensor x = CentreOf(AugmentData(Disc(300, 8, 16), labels, flip_two, kSide, 3)).x;
  const Tensor mirrored = (x - 24).abs() < 0.05, kept = (x - 8).abs() < 0.05;
  EXPECT_TRUE((mirrored | kept).all().item<bool>());
  EXPECT_EQ(mirrored.masked_select(labels == 1).sum().item<int64_t>(), 0);
  for (const int64_t label : {0, 2}) {
    // Half of 100, deviation 5.
    EXPECT_NEAR(static_cast<double>(mirrored.masked_select(labels == label).sum().item<int64_t>()), 50, 25);
  }
}

TEST(DataAugment, HueTurnsColoursAndLeavesGrey) {
  const Tensor grey = torch::full({50, 3, 2, 2}, 0.4f);
  EXPECT_TRUE(Close(AugmentData(grey, NoLabels(50), {.hue = 90}, 2, 3), grey, 0, 1e-6));
  // A dull colour stays in range for every turn, so that nothing is clipped.
  const Tensor dull =
      torch::tensor({0.2f, -0.1f, -0.1f}).reshape({1, 3, 1, 1}).expand({500, 3, 2, 2}).contiguous();
  const Tensor turned = AugmentData(dull, NoLabels(500), {.hue = 120}, 2, 3).select(3, 0).select(2, 0);
  EXPECT_TRUE(Close(turned.sum(1), torch::zeros({500}), 0, 1e-6));
  EXPECT_TRUE(Close(turned.norm(2, 1), torch::full({500}, 0.06f).sqrt(), 1e-5, 0));
  // A third of a turn takes red to green.
  EXPECT_GT(turned.select(1, 1).max().item<double>(), 0.19);
  EXPECT_GT(turned.select(1, 2).max().item<double>(), 0.19);
}

TEST(DataAugment, WhiteMovesInOverAWhiteEdge) {
  const Tensor moved =
      AugmentData(Disc(50, 16, 16), NoLabels(50), {.shift = 0.2, .scale = 0.2, .rotate = 180}, kSide, 3);
  // The weights of the interpolation add up to 1 but for rounding.
  EXPECT_NEAR(moved.select(2, 0).min().item<double>(), 1.0, 1e-6);
  EXPECT_LE(moved.max().item<double>(), 1.0 + 1e-6);
}

TEST(DataAugment, TwiceTheSideLeavesSharpEdges) {
  // An edge between pixels stays within one pixel of the result, wherever it lands.
  Tensor half = torch::ones({40, 1, kSide, kSide});
  half.slice(3, 0, kSide / 2).fill_(-1);
  const Tensor moved = AugmentData(half, NoLabels(40), {.shift = 0.1}, kSide / 2, 3);
  const Tensor between = ((moved > -0.99) & (moved < 0.99)).sum(3);
  EXPECT_LE(between.max().item<int64_t>(), 2);
}

TEST(DataAugment, RefusesWhatItCannotDo) {
  const Tensor grey = torch::zeros({1, 1, 4, 4});
  EXPECT_ERROR(AugmentData(grey, NoLabels(1), {.hue = 5}, 4, 0), Errc::kBadOption,
               "hue = 5, must be 0 for images of 1 channels");
  EXPECT_ERROR(AugmentData(grey, NoLabels(1), {.shift = 0.6}, 4, 0), Errc::kBadOption,
               "shift = 0.6, must be in [0, 0.5]");
  EXPECT_ERROR(AugmentData(grey, NoLabels(1), {.scale = 1}, 4, 0), Errc::kBadOption,
               "scale = 1, must be in [0, 0.9]");
  EXPECT_ERROR(AugmentData(grey, NoLabels(1), {.rotate = -1}, 4, 0), Errc::kBadOption, "rotate = -1");
}

}  // namespace
}  // namespace gas
