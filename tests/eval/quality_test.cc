// Figures of samples beside the teacher's.
#include "gas/eval/quality.h"

#include "gas/metrics/ms_ssim.h"
#include "support/expect.h"

namespace gas {
namespace {

// Pictures [B,C,H,W] in [-1,1], and others that are near them.
std::pair<Tensor, Tensor> SomePictures(int64_t count, int64_t channels) {
  torch::manual_seed(3);
  const Tensor teacher = torch::rand({count, channels, 24, 24}) * 2 - 1;
  return {(teacher + 0.1 * torch::randn_like(teacher)).clamp(-1, 1), teacher};
}

// Image 0 is off by 0.2 everywhere, image 1 by 0.02: 10 log10(4 / 0.04) = 20 dB and 40 dB.
TEST(Quality, PsnrIsThatOfEachImageByHand) {
  const Tensor teacher = torch::full({2, 1, 12, 12}, 0.25, torch::kFloat64);
  Tensor images = teacher.clone();
  images[0] += 0.2;
  images[1] -= 0.02;
  const Quality q = MeasureQuality("x", 3, images, teacher, {}, nullptr);
  EXPECT_NEAR(q.figures.at("distance").mean, (0.04 + 0.0004) / 2, 1e-12);
  EXPECT_NEAR(q.figures.at("psnr").mean, 30, 1e-9);
  const Quality halves = MeasureQuality("x", 3, images, teacher, {}, nullptr, {.blocks = 2});
  EXPECT_NEAR(halves.figures.at("psnr").mean, 30, 1e-9);
  EXPECT_NEAR(halves.figures.at("psnr").spread, std::sqrt(200.0), 1e-9);
}

TEST(Quality, WithoutAFeatureNetworkPicturesHavePixelFigures) {
  for (const int64_t channels : {1, 3}) {
    const auto [images, teacher] = SomePictures(3, channels);
    const Quality q = MeasureQuality("x", 3, images, teacher, {}, nullptr);
    EXPECT_EQ(q.figures.size(), 3u);
    EXPECT_NEAR(q.figures.at("ms_ssim").mean, MsSsim(images, teacher).mean().item<double>(), 1e-6);
    EXPECT_LT(q.figures.at("ms_ssim").mean, 1);
    EXPECT_GT(q.figures.at("psnr").mean, 10);
    EXPECT_TRUE(MeasureQuality("teacher", 20, teacher, {}, {}, nullptr).figures.empty());
  }
}

// What a picture file clips does not count.
TEST(Quality, PixelFiguresAreOfWhatIsShown) {
  const auto [images, teacher] = SomePictures(2, 1);
  const Tensor white = torch::full_like(teacher, 1.0);
  const Quality q = MeasureQuality("x", 3, images, white + 0.5, {}, nullptr);
  const Quality shown = MeasureQuality("x", 3, images, white, {}, nullptr);
  EXPECT_EQ(q.figures.at("psnr").mean, shown.figures.at("psnr").mean);
  EXPECT_GT(q.figures.at("distance").mean, shown.figures.at("distance").mean);
}

TEST(Quality, EqualPicturesHaveNoPsnrAndOtherStatesNoPixelFigures) {
  const auto [images, teacher] = SomePictures(2, 1);
  const Quality same = MeasureQuality("x", 3, teacher, teacher, {}, nullptr);
  EXPECT_FALSE(same.figures.contains("psnr"));
  EXPECT_NEAR(same.figures.at("ms_ssim").mean, 1, 1e-6);
  const auto [latents, others] = SomePictures(2, 4);
  EXPECT_EQ(MeasureQuality("x", 3, latents, others, {}, nullptr).figures.size(), 1u);
  EXPECT_EQ(MeasureQuality("x", 3, latents.flatten(1), others.flatten(1), {}, nullptr).figures.size(), 1u);
}

}  // namespace
}  // namespace gas
