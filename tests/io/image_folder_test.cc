#include "gas/io/image_folder.h"

#include "gas/io/file.h"
#include "gas/io/png.h"
#include "io/helpers.h"
#include "support/expect.h"

namespace gas {
namespace {

using testing::Close;
using testing::SameBits;
using testing::TempDir;

namespace fs = std::filesystem;

Tensor Plain(std::vector<int64_t> colour, int64_t height, int64_t width) {
  const auto channels = static_cast<int64_t>(colour.size());
  return torch::tensor(colour).to(torch::kUInt8).reshape({channels, 1, 1}).expand({channels, height, width});
}

void Put(const fs::path& path, const Tensor& image) {
  MakeDirectory(path.parent_path());
  WritePng(path, image);
}

void PutText(const fs::path& path, std::string_view text) {
  MakeDirectory(path.parent_path());
  WriteFile(path, std::span<const char>(text));
}

TEST(ImageFolder, ClassesAndImagesComeByName) {
  const TempDir dir;
  Put(dir / "b/2.png", Plain({20}, 4, 4));
  Put(dir / "b/1.PNG", Plain({10}, 4, 4));
  Put(dir / "a/x.png", Plain({1, 2, 3}, 4, 4));
  PutText(dir / "b/notes.txt", "no image");
  PutText(dir / "b/.3.png", "hidden");
  PutText(dir / ".cache/x.png", "hidden");
  PutText(dir / "README.png", "beside the classes");
  ASSERT_TRUE(IsImageFolder(dir.path()));
  const ImageSet set = ReadImageFolder(dir.path(), "train");
  EXPECT_EQ(set.class_names, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(SameBits(set.labels, torch::tensor({0, 1, 1})));
  // Grey images have three equal channels beside coloured ones.
  const Tensor corners = torch::tensor({{1, 2, 3}, {10, 10, 10}, {20, 20, 20}}).to(torch::kUInt8);
  EXPECT_EQ(set.images.sizes(), (std::vector<int64_t>{3, 3, 4, 4}));
  EXPECT_TRUE(SameBits(set.images.select(3, 3).select(2, 3).contiguous(), corners));
}

TEST(ImageFolder, GreyImagesHaveOneChannel) {
  const TempDir dir;
  Put(dir / "a/x.png", Plain({7}, 2, 2));
  Put(dir / "b/x.png", Plain({8}, 2, 2));
  EXPECT_EQ(ReadImageFolder(dir.path(), "train").images.sizes(), (std::vector<int64_t>{2, 1, 2, 2}));
}

TEST(ImageFolder, SplitsAreFolders) {
  const TempDir dir;
  Put(dir / "train/a/x.png", Plain({1}, 2, 2));
  Put(dir / "train/b/x.png", Plain({2}, 2, 2));
  EXPECT_TRUE(IsImageFolder(dir.path()));
  EXPECT_EQ(ReadImageFolder(dir.path(), "train").size(), 2);
  EXPECT_ERROR(ReadImageFolder(dir.path(), "test"), Errc::kUnavailable, "no folder test");
  Put(dir / "test/a/y.png", Plain({3}, 2, 2));
  EXPECT_EQ(ReadImageFolder(dir.path(), "test").size(), 1);
  fs::remove_all(dir / "train");
  EXPECT_ERROR(ReadImageFolder(dir.path(), "train"), Errc::kUnavailable, "no folder train");
}

TEST(ImageFolder, LargerImagesAreCutToTheMiddleAndReduced) {
  const TempDir dir;
  // Left quarter 0, middle 100 and 200 in alternate columns, right quarter 0: the middle's mean is 150.
  Tensor wide = torch::zeros({1, 4, 8}, torch::kUInt8);
  wide.slice(2, 2, 6, 2).fill_(100);
  wide.slice(2, 3, 6, 2).fill_(200);
  Put(dir / "a/wide.png", wide);
  Put(dir / "a/tall.png", wide.transpose(1, 2));
  Put(dir / "a/exact.png", Plain({9}, 2, 2));
  const ImageSet set = ReadImageFolder(dir.path(), "train", {.max_side = 2});
  EXPECT_TRUE(SameBits(set.images.flatten(1).to(torch::kInt64),
                       torch::tensor({{9, 9, 9, 9}, {150, 150, 150, 150}, {150, 150, 150, 150}})));
}

TEST(ImageFolder, TransparencyIsWhite) {
  const TempDir dir;
  const std::string pixels = std::string(1, '\0') + std::string("\x01\x02\x03\x00", 4);
  PutText(dir / "a/x.png", testing::Png({.color = 6}, pixels));
  EXPECT_TRUE(SameBits(ReadImageFolder(dir.path(), "train").images.flatten().to(torch::kInt64),
                       torch::tensor({255, 255, 255})));
}

TEST(ImageFolderHostile, WhatIsNoImageIsNamed) {
  const TempDir dir;
  Put(dir / "a/1.png", Plain({1}, 2, 2));
  PutText(dir / "a/2.png", "GIF89a");
  EXPECT_ERROR(ReadImageFolder(dir.path(), "train"), Errc::kBadFile, "a/2.png @0: not a PNG file");
}

TEST(ImageFolderHostile, SizesThatDiffer) {
  const TempDir dir;
  Put(dir / "a/1.png", Plain({1}, 4, 4));
  Put(dir / "a/2.png", Plain({1}, 2, 2));
  EXPECT_ERROR(ReadImageFolder(dir.path(), "train"), Errc::kBadFile, "2.png: 2 pixels on a side, but ");
  EXPECT_ERROR(ReadImageFolder(dir.path(), "train", {.max_side = 3}), Errc::kBadFile, "1.png has 3");
  EXPECT_EQ(ReadImageFolder(dir.path(), "train", {.max_side = 2}).images.size(3), 2);
  Put(dir / "a/0.png", Plain({1}, 4, 5));
  EXPECT_ERROR(ReadImageFolder(dir.path(), "train"), Errc::kBadFile, "0.png: 5 x 4 pixels, must be square");
}

TEST(ImageFolderHostile, FoldersWithoutImages) {
  const TempDir dir;
  EXPECT_FALSE(IsImageFolder(dir / "nowhere"));
  EXPECT_FALSE(IsImageFolder(dir.path()));
  EXPECT_ERROR(ReadImageFolder(dir / "nowhere", "train"), Errc::kUnavailable, "nowhere");
  EXPECT_ERROR(ReadImageFolder(dir.path(), "train"), Errc::kUnavailable, "no folder of PNG files");
  Put(dir / "a/1.png", Plain({1}, 2, 2));
  MakeDirectory(dir / "b");
  EXPECT_ERROR(ReadImageFolder(dir.path(), "train"), Errc::kBadFile, "b: a class without a PNG file");
}

TEST(ImageFolderHostile, MorePixelsThanTheBoundAreRefusedAfterTheFirstImage) {
  const TempDir dir;
  Put(dir / "a/1.png", Plain({1}, 4, 4));
  PutText(dir / "a/2.png", "never read");
  EXPECT_ERROR(ReadImageFolder(dir.path(), "train", {.max_bytes = 95}), Errc::kBadFile,
               "2 images of 4 x 4 pixels need 96 bytes, at most 95");
}

TEST(AreaResize, IsTheMeanOfWhatAPixelCovers) {
  const Tensor image = torch::tensor({1.0, 2.0, 6.0}, torch::kFloat64).expand({1, 3, 3});
  // Two pixels of 1.5: (1 + 2/2) / 1.5 and (2/2 + 6) / 1.5.
  const Tensor expected = torch::tensor({2.0 / 1.5, 7.0 / 1.5}, torch::kFloat64).expand({1, 2, 2});
  EXPECT_TRUE(Close(AreaResize(image, 2), expected, 1e-12, 0));
  torch::manual_seed(1);
  const Tensor random = torch::randn({2, 3, 12, 12}, torch::kFloat64);
  EXPECT_TRUE(Close(AreaResize(random, 4), torch::avg_pool2d(random, 3), 1e-12, 1e-12));
  EXPECT_TRUE(SameBits(AreaResize(random, 12), random));
  EXPECT_TRUE(Close(AreaResize(random, 5).mean(), random.mean(), 1e-12, 1e-12));
}

}  // namespace
}  // namespace gas
