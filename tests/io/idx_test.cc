#include "gas/io/idx.h"

#include "gas/io/file.h"
#include "io/helpers.h"
#include "support/expect.h"

namespace gas {
namespace {

using testing::Builder;
using testing::Deflate;
using testing::SameBits;
using testing::TempDir;
using testing::Wrap;

constexpr const char* kFashionMnist = "/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz";

Builder Header(uint8_t type, const std::vector<uint32_t>& shape) {
  Builder b;
  b.U16(0).U8(type).U8(static_cast<uint8_t>(shape.size()));
  for (const uint32_t n : shape) b.BigU32(n);
  return b;
}

Tensor ParsedIdx(const std::string& bytes) { return ParseIdx("evil", bytes); }

std::string Gzip(const Builder& b) { return Deflate(b.str(), Wrap::kGzip); }

TEST(Idx, ReadsEveryElementTypePlainAndCompressed) {
  const std::pair<Builder, Tensor> cases[] = {
      {Header(0x08, {2, 1}).U8(0).U8(255), torch::tensor({0, 255}, torch::kUInt8).reshape({2, 1})},
      {Header(0x09, {2}).U8(1).U8(0xFF), torch::tensor({1, -1}, torch::kInt8)},
      {Header(0x0B, {2}).Text({"\x01\x02\xFF\xFE", 4}), torch::tensor({258, -2}, torch::kInt16)},
      {Header(0x0C, {1}).BigU32(0x01020304), torch::tensor({0x01020304}, torch::kInt32)},
      {Header(0x0D, {1}).BigU32(0x3FC00000), torch::tensor({1.5}, torch::kFloat32)},
      {Header(0x0E, {1}).BigU32(0x3FF80000).BigU32(0), torch::tensor({1.5}, torch::kFloat64)},
      {Header(0x08, {0, 28, 28}), torch::empty({0, 28, 28}, torch::kUInt8)},
  };
  for (const auto& [file, expected] : cases) {
    EXPECT_TRUE(SameBits(ParsedIdx(file.str()), expected));
    EXPECT_TRUE(SameBits(ParsedIdx(Gzip(file)), expected));
  }
}

TEST(Idx, ReadsFashionMnist) {
  if (!std::filesystem::exists(kFashionMnist)) GTEST_SKIP() << kFashionMnist << " is not on this machine";
  const Tensor images = ReadIdx(kFashionMnist);
  EXPECT_EQ(images.sizes(), at::IntArrayRef({60000, 28, 28}));
  EXPECT_EQ(images.scalar_type(), torch::kUInt8);
  EXPECT_EQ(images.max().item<int>(), 255);
}

TEST(IdxHostile, FilesThatEndEarly) {
  EXPECT_ERROR(ParsedIdx(""), Errc::kBadFile, "evil @0: needs 4 bytes, 0 left");
  EXPECT_ERROR(ParsedIdx(Header(0x08, {}).str().substr(0, 3)), Errc::kBadFile,
               "evil @0: needs 4 bytes, 3 left");
  EXPECT_ERROR(ParsedIdx(Header(0x08, {2, 2}).str().substr(0, 10)), Errc::kBadFile,
               "evil @8: needs 4 bytes, 2 left");
  EXPECT_ERROR(ParsedIdx(Header(0x08, {2, 2}).Zeros(3).str()), Errc::kBadFile,
               "its shape [2, 2] needs 4 bytes, 3 left");
  const TempDir dir;
  EXPECT_ERROR(ReadIdx(dir / "none"), Errc::kBadFile, "none: cannot open it");
}

TEST(IdxHostile, MoreDataThanDeclared) {
  EXPECT_ERROR(ParsedIdx(Header(0x08, {2, 2}).Zeros(5).str()), Errc::kBadFile, "needs 4 bytes, 5 left");
}

TEST(IdxHostile, WrongMagicTypeAndRank) {
  EXPECT_ERROR(ParsedIdx("GIF89a"), Errc::kBadFile,
               "evil @0: an idx file begins with two zero bytes, not 71 73");
  EXPECT_ERROR(ParsedIdx(Header(0x0A, {1}).Zeros(1).str()), Errc::kBadFile,
               "evil @2: unknown element type 10");
  EXPECT_ERROR(ParsedIdx(Header(0x08, std::vector<uint32_t>(65, 1)).Zeros(1).str()), Errc::kBadFile,
               "evil @3: 65 dimensions, at most 64");
}

TEST(IdxHostile, ShapesThatOverflow) {
  const uint32_t n = 0xFFFFFFFF;
  EXPECT_ERROR(ParsedIdx(Header(0x08, {n, n, n}).str()), Errc::kBadFile,
               "its shape [4294967295, 4294967295, 4294967295] overflows");
  EXPECT_ERROR(ParsedIdx(Header(0x0E, {0, n, n}).str()), Errc::kBadFile, "overflows");
  EXPECT_ERROR(ParsedIdx(Header(0x08, {n, 1u << 30}).str()), Errc::kBadFile,
               "needs 4611686017353646080 bytes, 0 left");
}

TEST(IdxHostile, CompressedStreamsThatHoldLessOrMoreThanDeclared) {
  EXPECT_ERROR(ParsedIdx(Gzip(Header(0x08, {100}).Zeros(99))), Errc::kBadFile,
               "evil: decompresses to 107 bytes, 1 more were declared");
  EXPECT_ERROR(ParsedIdx(Gzip(Header(0x08, {100}).Zeros(101))), Errc::kBadFile,
               "evil: decompresses to more than the 108 bytes declared");
  // A bomb behind an honest-looking header is never unfolded.
  EXPECT_ERROR(ParsedIdx(Gzip(Header(0x08, {1}).Zeros(100 << 20))), Errc::kBadFile,
               "to more than the 9 bytes declared");
}

TEST(IdxHostile, CompressedStreamsThatCannotHoldTheirClaim) {
  EXPECT_ERROR(ParsedIdx(Gzip(Header(0x08, {1u << 31, 1u << 15}))), Errc::kBadFile,
               "evil: claims 70368744177664 bytes, which");
}

TEST(IdxHostile, DamagedStreams) {
  const std::string good = Gzip(Header(0x08, {1000}).Zeros(1000));
  EXPECT_ERROR(ParsedIdx(good.substr(0, 5)), Errc::kBadFile, "evil: the compressed data stop after 0 bytes");
  EXPECT_ERROR(ParsedIdx(good.substr(0, good.size() - 1)), Errc::kBadFile,
               "the compressed data stop after 1008 bytes");
  EXPECT_ERROR(ParsedIdx(good + "x"), Errc::kBadFile, "evil: 1 bytes follow the compressed data");
  std::string wrong_sum = good;
  wrong_sum[wrong_sum.size() - 8] ^= 1;
  EXPECT_ERROR(ParsedIdx(wrong_sum), Errc::kBadFile,
               "damaged compressed data after 1008 bytes: incorrect data check");
  std::string wrong_method = good;
  wrong_method[2] = 7;
  EXPECT_ERROR(ParsedIdx(wrong_method), Errc::kBadFile, "unknown compression method");
  std::string wrong_block = good;
  wrong_block[10] = '\xFF';
  EXPECT_ERROR(ParsedIdx(wrong_block), Errc::kBadFile,
               "damaged compressed data after 0 bytes: invalid block type");
}

}  // namespace
}  // namespace gas
