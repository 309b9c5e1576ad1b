// Figures of images in the features of a network whose answers are known.
#include "gas/eval/quality.h"
#include "gas/metrics/frechet.h"
#include "support/expect.h"

namespace gas {
namespace {

// Features are the two pixels of an image and their product; the class is that of the larger pixel.
class PixelFeatures : public FeatureNetwork {
 public:
  PixelFeatures() { card_ = {"pixels", "", 1, 0, 3, 2}; }
  void SetResolution(int64_t resolution) { card_.resolution = resolution; }
  void To(torch::Device, torch::ScalarType) override {}
  ImageFeatures Look(const Tensor& images) const override {
    const Tensor pixels = images.flatten(1).slice(1, 0, 2);
    return {torch::cat({pixels, pixels.prod(1, /*keepdim=*/true)}, 1), pixels};
  }
  Tensor Embedding(const Tensor& images) const override { return 3 * images.flatten(1); }
};

class FeatureFigures : public ::testing::Test {
 protected:
  FeatureFigures() {
    torch::manual_seed(4);
    network_->SetResolution(2);
    // Whole bytes, so that rounding to bytes changes nothing.
    images_ = torch::randint(0, 256, {12, 1, 2, 2}).to(torch::kFloat32) / 127.5 - 1;
    teacher_ = torch::randint(0, 256, {12, 1, 2, 2}).to(torch::kFloat32) / 127.5 - 1;
    model_.network = network_;
    model_.data_mean = torch::tensor({0.1, -0.2, 0.0}, torch::kFloat64);
    model_.data_covariance = torch::eye(3, torch::kFloat64) * 0.3;
    labels_ = network_->Look(images_).logits.argmax(1);
    labels_[2] = 1 - labels_[2];  // in each third one sample is of another class
    labels_[7] = 1 - labels_[7];
    labels_[9] = 1 - labels_[9];
  }

  std::shared_ptr<PixelFeatures> network_ = std::make_shared<PixelFeatures>();
  FeatureModel model_;
  Tensor images_, teacher_, labels_;
};

TEST_F(FeatureFigures, AreWhatTheirNamesSay) {
  const Quality q = MeasureQuality("x", 3, images_, teacher_, labels_, &model_);
  const double distance = (images_ - teacher_).square().mean().item<double>();
  EXPECT_NEAR(q.figures.at("distance").mean, distance, 1e-6);
  EXPECT_NEAR(q.figures.at("perceptual").mean, 9 * 4 * distance, 1e-4);
  EXPECT_NEAR(q.figures.at("agreement").mean, 9.0 / 12, 1e-12);
  const double frechet = FrechetDistance(StatisticsOf(network_->Look(images_).features),
                                         {model_.data_mean, model_.data_covariance});
  EXPECT_NEAR(q.figures.at("frechet").mean, frechet, 1e-5 * frechet);
  for (const auto& [key, figure] : q.figures) EXPECT_EQ(figure.spread, 0) << key;
}

// The mean of the blocks' figures, and their standard deviation: of n values divided by n - 1.
TEST_F(FeatureFigures, BlocksAreMeasuredOneByOne) {
  const Quality q = MeasureQuality("x", 3, images_, teacher_, labels_, &model_, {.blocks = 3});
  std::vector<double> agreement, frechet;
  for (int64_t block = 0; block < 3; ++block) {
    const auto part = [&](const Tensor& all) { return all.slice(0, 4 * block, 4 * block + 4); };
    const Quality one = MeasureQuality("x", 3, part(images_), part(teacher_), part(labels_), &model_);
    agreement.push_back(one.figures.at("agreement").mean);
    frechet.push_back(one.figures.at("frechet").mean);
  }
  EXPECT_EQ(agreement, (std::vector<double>{0.75, 0.75, 0.75}));
  EXPECT_EQ(q.figures.at("agreement").spread, 0);
  const double mean = (frechet[0] + frechet[1] + frechet[2]) / 3;
  double squares = 0;
  for (const double value : frechet) squares += (value - mean) * (value - mean);
  EXPECT_NEAR(q.figures.at("frechet").mean, mean, 1e-9 * mean);
  EXPECT_NEAR(q.figures.at("frechet").spread, std::sqrt(squares / 2), 1e-9 * mean);
}

TEST_F(FeatureFigures, ImagesThatDoNotFitHaveNoneInFeatures) {
  network_->SetResolution(3);
  const Quality q = MeasureQuality("x", 3, images_, teacher_, labels_, &model_);
  for (const char* key : {"perceptual", "frechet", "agreement"}) EXPECT_FALSE(q.figures.contains(key)) << key;
  EXPECT_TRUE(q.figures.contains("distance"));
}

}  // namespace
}  // namespace gas
