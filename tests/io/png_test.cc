#include "gas/io/png.h"

#include <limits>

#include "gas/io/file.h"
#include "io/helpers.h"
#include "support/expect.h"

namespace gas {
namespace {

using testing::Builder;
using testing::Png;
using testing::PngChunk;
using testing::SameBits;
using testing::TempDir;

constexpr uint8_t kGrey = 0, kRgb = 2, kPalette = 3, kGreyAlpha = 4, kRgba = 6;

Tensor ParsedPng(const std::string& bytes) { return ParsePng("evil", bytes); }

Tensor Pixels(std::vector<int64_t> values, at::IntArrayRef shape) {
  return torch::tensor(values).to(torch::kUInt8).reshape(shape);
}

std::string Row(std::string_view pixels) { return std::string(1, '\0') + std::string(pixels); }

TEST(Png, RoundTripsGreyAndColour) {
  const TempDir dir;
  torch::manual_seed(1);
  for (const int64_t channels : {1, 3}) {
    const Tensor image = torch::randint(256, {channels, 5, 7}, torch::kUInt8);
    WritePng(dir / "image.png", image);
    EXPECT_TRUE(SameBits(ReadPng(dir / "image.png"), image));
    const Tensor strided = image.transpose(1, 2);
    WritePng(dir / "image.png", strided);
    EXPECT_TRUE(SameBits(ReadPng(dir / "image.png"), strided.contiguous()));
  }
}

TEST(Png, CarriesText) {
  const TempDir dir;
  WritePng(dir / "image.png", Pixels({1}, {1, 1, 1}), {{"seed", "42"}, {"solver", "dpmpp-3m"}});
  const Bytes bytes = ReadFile(dir / "image.png");
  const std::string text(bytes.begin(), bytes.end());
  EXPECT_NE(text.find(PngChunk("tEXt", std::string("seed\0"
                                                   "42",
                                                   7))),
            std::string::npos);
  EXPECT_NE(text.find(PngChunk("tEXt", std::string("solver\0dpmpp-3m", 15))), std::string::npos);
  EXPECT_ERROR((WritePng(dir / "x.png", Pixels({1}, {1, 1, 1}), {{std::string(80, 'k'), ""}}), 0),
               Errc::kBadOption, "has 80 characters, must be in [1, 79]");
  EXPECT_ERROR((WritePng(dir / "x.png", Pixels({1}, {1, 1, 1}), {{"k", std::string("a\0b", 3)}}), 0),
               Errc::kBadOption, "zero byte");
}

TEST(Png, ReadsEveryKindOfPixel) {
  const std::string rgb = "\x01\x02\x03\x04\x05\x06";
  EXPECT_TRUE(
      SameBits(ParsedPng(Png({.width = 2, .color = kRgb}, Row(rgb))), Pixels({1, 4, 2, 5, 3, 6}, {3, 1, 2})));
  EXPECT_TRUE(
      SameBits(ParsedPng(Png({.color = kRgba}, Row("\x01\x02\x03\x80"))), Pixels({1, 2, 3}, {3, 1, 1})));
  EXPECT_TRUE(SameBits(ParsedPng(Png({.width = 2}, Row("\x09\xFF"))), Pixels({9, 255}, {1, 1, 2})));
  EXPECT_TRUE(SameBits(ParsedPng(Png({.color = kGreyAlpha}, Row("\x09\x01"))), Pixels({9}, {1, 1, 1})));
  EXPECT_TRUE(SameBits(ParsedPng(Png({.width = 8, .depth = 1, .color = kGrey}, Row("\xA0"))),
                       Pixels({255, 0, 255, 0, 0, 0, 0, 0}, {1, 1, 8})));
  EXPECT_TRUE(SameBits(ParsedPng(Png({.depth = 16}, Row("\xFF\xFF"))), Pixels({255}, {1, 1, 1})));
  const std::string palette = PngChunk("PLTE", rgb) + PngChunk("tRNS", "\x10");
  EXPECT_TRUE(
      SameBits(ParsedPng(Png({.width = 2, .color = kPalette}, Row(std::string("\x01\x00", 2)), palette)),
               Pixels({4, 1, 5, 2, 6, 3}, {3, 1, 2})));
}

TEST(Png, LaysTransparencyOnWhite) {
  const auto on_white = [](const std::string& bytes) { return ParsePng("image", bytes, Alpha::kOnWhite); };
  // 200 * 51/255 + 255 * 204/255 = 244
  EXPECT_TRUE(
      SameBits(on_white(Png({.color = kRgba}, Row("\xC8\xFF\x01\x33"))), Pixels({244, 255, 204}, {3, 1, 1})));
  const std::string ends = std::string("\x07\x07\x07\x00\x07\x07\x07\xFF", 8);
  EXPECT_TRUE(SameBits(on_white(Png({.width = 2, .color = kRgba}, Row(ends))),
                       Pixels({255, 7, 255, 7, 255, 7}, {3, 1, 2})));
  EXPECT_TRUE(SameBits(on_white(Png({.color = kGreyAlpha}, Row(std::string("\x09\x00", 2)))),
                       Pixels({255}, {1, 1, 1})));
  const std::string palette =
      PngChunk("PLTE", "\x01\x02\x03\x04\x05\x06") + PngChunk("tRNS", std::string(1, '\0'));
  EXPECT_TRUE(
      SameBits(on_white(Png({.width = 2, .color = kPalette}, Row(std::string("\x01\x00", 2)), palette)),
               Pixels({4, 255, 5, 255, 6, 255}, {3, 1, 2})));
  // One value that is transparent.
  const std::string transparent_7 = PngChunk("tRNS", std::string("\x00\x07", 2));
  EXPECT_TRUE(
      SameBits(on_white(Png({.width = 2}, Row("\x07\x08"), transparent_7)), Pixels({255, 8}, {1, 1, 2})));
  EXPECT_TRUE(
      SameBits(on_white(Png({.depth = 16, .color = kGreyAlpha}, Row(std::string("\x80\x00\x00\x00", 4)))),
               Pixels({255}, {1, 1, 1})));
  EXPECT_TRUE(SameBits(on_white(Png({.color = kRgb}, Row("\x01\x02\x03"))), Pixels({1, 2, 3}, {3, 1, 1})));
}

TEST(Png, ReadsInterlacedImages) {
  // Adam7 takes the pixels of a 2x2 image in passes 1 (top left), 6 (top right) and 7 (the lower row).
  const std::string rows = Row("\x01") + Row("\x02") + Row("\x03\x04");
  EXPECT_TRUE(SameBits(ParsedPng(Png({.width = 2, .height = 2, .interlace = 1}, rows)),
                       Pixels({1, 2, 3, 4}, {1, 2, 2})));
}

TEST(Png, RefusesToWriteWhatIsNoImage) {
  const TempDir dir;
  const auto write = [&](const Tensor& image) {
    WritePng(dir / "x.png", image);
    return 0;
  };
  EXPECT_ERROR(write(torch::zeros({3, 4, 4})), Errc::kInternal, "not from [3, 4, 4] Float");
  EXPECT_ERROR(write(torch::zeros({2, 4, 4}, torch::kUInt8)), Errc::kInternal, "not from [2, 4, 4] Byte");
  EXPECT_ERROR(write(torch::zeros({1, 0, 4}, torch::kUInt8)), Errc::kBadOption, "a side of 0 pixels");
  EXPECT_ERROR(write(torch::zeros({1, 1, 32769}, torch::kUInt8)), Errc::kBadOption, "a side of 32769 pixels");
  EXPECT_FALSE(std::filesystem::exists(dir / "x.png"));
}

TEST(PngHostile, FilesThatEndEarly) {
  const std::string good = Png({.width = 2, .color = kRgb}, Row("\x01\x02\x03\x04\x05\x06"));
  EXPECT_ERROR(ParsedPng(""), Errc::kBadFile, "evil @0: not a PNG file");
  EXPECT_ERROR(ParsedPng(good.substr(0, 7)), Errc::kBadFile, "evil @0: not a PNG file");
  for (size_t n = 8; n < good.size(); ++n) {
    EXPECT_ERROR(ParsedPng(good.substr(0, n)), Errc::kBadFile, "evil: the file ends early");
  }
}

TEST(PngHostile, OtherFiles) {
  EXPECT_ERROR(ParsedPng("GIF89a, and more"), Errc::kBadFile, "evil @0: not a PNG file");
}

TEST(PngHostile, HeadersThatAreWrong) {
  EXPECT_ERROR(ParsedPng(Png({.width = 0}, Row(""))), Errc::kBadFile, "evil: Invalid IHDR data");
  EXPECT_ERROR(ParsedPng(Png({.depth = 3}, Row("\x01"))), Errc::kBadFile, "evil: Invalid IHDR data");
  EXPECT_ERROR(ParsedPng(Png({.color = 7}, Row("\x01"))), Errc::kBadFile, "evil: Invalid IHDR data");
  EXPECT_ERROR(ParsedPng(Png({.color = kPalette}, Row("\x01"))), Errc::kBadFile, "Missing PLTE before IDAT");
  const std::string no_header = std::string(testing::kPngSignature) + PngChunk("IEND", "");
  EXPECT_ERROR(ParsedPng(no_header), Errc::kBadFile, "evil: ");
}

TEST(PngHostile, ImagesThatAreTooLarge) {
  EXPECT_ERROR(ParsedPng(Png({.width = 32769}, Row(std::string(32769, '\0')))), Errc::kBadFile,
               "evil: 32769 x 1 pixels, at most 32768 on a side");
  EXPECT_ERROR(ParsedPng(Png({.width = 1, .height = 0x7FFFFFFF}, Row(""))), Errc::kBadFile,
               "1 x 2147483647 pixels");
}

TEST(PngHostile, FewBytesThatClaimManyPixels) {
  EXPECT_ERROR(ParsedPng(Png({.width = 32768, .height = 32768, .color = kRgb}, Row(""))), Errc::kBadFile,
               "evil: claims 3221225472 bytes of pixels, which");
}

TEST(PngHostile, DamagedPixels) {
  EXPECT_ERROR(ParsedPng(Png({.height = 2}, Row("\x01"))), Errc::kBadFile, "evil: Not enough image data");
  std::string damaged = Png({}, Row("\x01"));
  damaged[damaged.find("IDAT") + 4] ^= 0x0F;
  EXPECT_ERROR(ParsedPng(damaged), Errc::kBadFile, "evil: ");
  testing::RepairPngChecksums(damaged);
  EXPECT_ERROR(ParsedPng(damaged), Errc::kBadFile, "evil: ");
}

TEST(PngHostile, BombsInTextsAndProfilesAreNotUnfolded) {
  const std::string zeros = testing::Deflate(std::string(16 << 20, '\0'), testing::Wrap::kZlib);
  const std::string bombs =
      PngChunk("zTXt", std::string("k\0\0", 3) + zeros) + PngChunk("iCCP", std::string("k\0\0", 3) + zeros);
  EXPECT_TRUE(SameBits(ParsedPng(Png({}, Row("\x07"), bombs)), Pixels({7}, {1, 1, 1})));
}

TEST(ToBytes, RoundsAndClips) {
  const Tensor x = torch::tensor({-2.0f, -1.0f, -0.999f, 0.0f, 1.0f, 1.5f}).reshape({1, 1, 1, 6});
  EXPECT_TRUE(SameBits(ToBytes(x), Pixels({0, 0, 0, 128, 255, 255}, {1, 1, 1, 6})));
  // Every byte value comes back from its place in [-1, 1].
  const Tensor bytes = torch::arange(256, torch::kUInt8).reshape({1, 1, 16, 16});
  EXPECT_TRUE(SameBits(ToBytes(bytes.to(torch::kFloat32) / 127.5 - 1), bytes));
  EXPECT_TRUE(SameBits(ToBytes((bytes.to(torch::kFloat64) / 127.5 - 1)), bytes));
}

TEST(ToBytes, RefusesNaN) {
  const Tensor x = torch::full({1, 1, 1, 1}, std::numeric_limits<float>::quiet_NaN());
  EXPECT_ERROR(ToBytes(x), Errc::kNumeric, "not a number");
}

}  // namespace
}  // namespace gas
