#include "gas/train/copies.h"

#include "gas/io/file.h"
#include "gas/io/png.h"
#include "support/expect.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

using testing::TempFolder;

void Put(const std::filesystem::path& path, const Tensor& image) {
  MakeDirectory(path.parent_path());
  WritePng(path, image);
}

// Noise of 8 pixels: 20 images for training, 20 held out, and samples of which the first are copies.
struct Noise {
  explicit Noise(int64_t copies) {
    torch::manual_seed(1);
    for (int64_t i = 0; i < 20; ++i) {
      const Tensor train = torch::randint(256, {3, 8, 8}, torch::kUInt8);
      const std::string name = std::to_string(i) + ".png";
      Put(data.path() / "train/a" / name, train);
      Put(data.path() / "test/a" / name, torch::randint(256, {3, 8, 8}, torch::kUInt8));
      Put(samples.path() / name, i < copies ? train.flip(2) : torch::randint(256, {3, 8, 8}, torch::kUInt8));
    }
  }
  CopiesOptions options() const {
    return {.data = {.folder = data.path()}, .samples = samples.path(), .pairs = 4};
  }

  TempFolder data{"copies_data"}, samples{"copies_samples"};
};

TEST(CopiesIn, MirroredCopiesAreFoundAmongMirroredImages) {
  const Noise noise(7);
  CopiesOptions options = noise.options();
  EXPECT_GT(CountCopiesIn(options).pixels.distances.min().item<double>(), 0.3)
      << "not mirrored, they are new";
  options.data.flip_classes = {"all"};
  const CopiesReport report = CountCopiesIn(options);
  EXPECT_GE(report.pixels.nearer, 7);
  EXPECT_EQ((report.pixels.distances < 1e-6).sum().item<int64_t>(), 7);
  EXPECT_TRUE(testing::Close(report.closest_samples, report.closest_training, 0, 1e-6));
  EXPECT_EQ(report.samples, 20);
  EXPECT_EQ(report.training, 20);
  EXPECT_EQ(report.held_out, 20);
  EXPECT_FALSE(report.features.has_value());
}

TEST(CopiesIn, RefusesWhatItCannotCompare) {
  const Noise noise(0);
  CopiesOptions options = noise.options();
  options.data.resolution = 4;
  EXPECT_ERROR(CountCopiesIn(options), Errc::kBadOption, "[3, 8, 8], must be [3, 4, 4] as the data");
  std::filesystem::remove_all(noise.data.path() / "test");
  EXPECT_ERROR(CountCopiesIn(noise.options()), Errc::kUnavailable, "no images held out");
  options = noise.options();
  options.samples = noise.data.path();
  Put(noise.data.path() / "test/a/x.png", torch::zeros({3, 8, 8}, torch::kUInt8));
  EXPECT_ERROR(CountCopiesIn(options), Errc::kUnavailable, "no PNG file");
}

}  // namespace
}  // namespace gas
