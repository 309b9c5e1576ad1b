#include "gas/io/npz.h"

#include <cstdlib>

#include "gas/io/zip.h"
#include "io/helpers.h"
#include "support/expect.h"

namespace gas {
namespace {

using testing::Builder;
using testing::Npy;
using testing::NpyHeader;
using testing::SameBits;
using testing::Zip;
using testing::ZipPart;

Tensor ParseArray(const std::string& bytes) { return ParseNpy("evil", bytes); }
std::map<std::string, Tensor> ParseArchive(const std::string& bytes) { return ParseNpz("evil", bytes); }

std::string FloatArray() { return Npy(NpyHeader("<f4", "(2,)"), Builder().F32(1.5f).F32(-2).str()); }

std::filesystem::path Fixture(const char* name) {
  const char* folder = std::getenv("GAS_FIXTURES");
  const char* source = std::getenv("GAS_SOURCE_DIR");
  if (folder != nullptr) return std::filesystem::path(folder) / name;
  return std::filesystem::path(source != nullptr ? source : ".") / "tests/fixtures" / name;
}

// The four bytes of `value` at the last occurrence of `signature`, plus `offset`.
std::string Damage(std::string archive, std::string_view signature, size_t offset, uint32_t value,
                   size_t bytes = 4) {
  std::memcpy(archive.data() + archive.rfind(signature) + offset, &value, bytes);
  return archive;
}
constexpr std::string_view kLocal = "PK\3\4", kCentral = "PK\1\2", kEnd = "PK\5\6";

TEST(Npy, ReadsEveryElementType) {
  const std::pair<const char*, torch::ScalarType> types[] = {
      {"<f8", torch::kFloat64}, {"<f4", torch::kFloat32}, {"<f2", torch::kFloat16},
      {"<i8", torch::kInt64},   {"<i4", torch::kInt32},   {"<i2", torch::kInt16},
      {"|i1", torch::kInt8},    {"|u1", torch::kUInt8},   {"|b1", torch::kBool}};
  for (const auto& [descr, type] : types) {
    const Tensor expected = (torch::arange(6) % 2).reshape({2, 3}).to(type);
    const std::string data(static_cast<const char*>(expected.data_ptr()), expected.nbytes());
    EXPECT_TRUE(SameBits(ParseArray(Npy(NpyHeader(descr, "(2, 3)"), data)), expected)) << descr;
  }
}

TEST(Npy, ReadsShapesAndOrders) {
  const std::string six = "\1\2\3\4\5\6";
  EXPECT_EQ(ParseArray(Npy(NpyHeader("|u1", "()"), "\7")).item<int>(), 7);
  EXPECT_EQ(ParseArray(Npy(NpyHeader("|u1", "(6,)"), six)).dim(), 1);
  EXPECT_EQ(ParseArray(Npy(NpyHeader("|u1", "(0, 5)"), "")).sizes(), at::IntArrayRef({0, 5}));
  const Tensor rows = torch::tensor({1, 2, 3, 4, 5, 6}, torch::kUInt8).reshape({2, 3});
  const Tensor columns = torch::tensor({1, 3, 5, 2, 4, 6}, torch::kUInt8).reshape({2, 3});
  EXPECT_TRUE(SameBits(ParseArray(Npy(NpyHeader("|u1", "(2, 3)"), six)), rows));
  const Tensor read = ParseArray(Npy(NpyHeader("|u1", "(2, 3)", /*fortran_order=*/true), six));
  EXPECT_TRUE(SameBits(read, columns));
  EXPECT_TRUE(read.is_contiguous());
}

// Of three axes, where turning their order round is not turning it once.
TEST(Npy, ReadsThreeAxesInFortranOrder) {
  std::string numbers;
  for (char i = 0; i < 24; ++i) numbers += i;
  const Tensor read = ParseArray(Npy(NpyHeader("|u1", "(2, 3, 4)", /*fortran_order=*/true), numbers));
  const Tensor expected = torch::arange(24, torch::kUInt8).reshape({4, 3, 2}).permute({2, 1, 0});
  EXPECT_TRUE(SameBits(read, expected.contiguous()));
}

TEST(Npy, ReadsVersions2And3AndOtherSpellings) {
  const std::string header = R"({"shape":(1,),"fortran_order":False,"descr":"|u1"}  )";
  for (const uint8_t major : {2, 3}) {
    const Builder file =
        Builder().Text("\x93NUMPY").U8(major).U8(0).U32(static_cast<uint32_t>(header.size()));
    EXPECT_EQ(ParseArray(file.str() + header + "\7").item<int>(), 7);
  }
}

TEST(NpyHostile, FilesThatEndEarly) {
  const std::string good = FloatArray();
  EXPECT_ERROR(ParseArray(""), Errc::kBadFile, "evil @0: not an npy array");
  EXPECT_ERROR(ParseArray(good.substr(0, 7)), Errc::kBadFile, "evil @6: ends before its version");
  EXPECT_ERROR(ParseArray(good.substr(0, 9)), Errc::kBadFile, "evil @8: ends before its header");
  EXPECT_ERROR(ParseArray(good.substr(0, 20)), Errc::kBadFile, " bytes, 10 left");
  EXPECT_ERROR(ParseArray(good.substr(0, good.size() - 1)), Errc::kBadFile,
               "its shape [2] needs 8 bytes, 7 follow the header");
  EXPECT_ERROR(ParseArray(good + "x"), Errc::kBadFile, "its shape [2] needs 8 bytes, 9 follow the header");
}

TEST(NpyHostile, HeaderLongerThanTheFile) {
  const Builder file = Builder().Text("\x93NUMPY\x02").U8(0).U32(0xFFFFFFFF).Text("{}");
  EXPECT_ERROR(ParseArray(file.str()), Errc::kBadFile, "evil @8: header of 4294967295 bytes, 2 left");
}

TEST(NpyHostile, UnknownVersionsAndElementTypes) {
  EXPECT_ERROR(ParseArray(Builder().Text("\x93NUMPY\x04").U8(0).U16(2).Text("{}").str()), Errc::kBadFile,
               "evil @6: npy version 4.0, must be 1.0, 2.0 or 3.0");
  EXPECT_ERROR(ParseArray(Npy(NpyHeader(">f4", "()"), "1234")), Errc::kBadFile,
               "element type '>f4', must be little");
  EXPECT_ERROR(ParseArray(Npy(NpyHeader("<c8", "()"), "12345678")), Errc::kBadFile, "element type '<c8'");
  EXPECT_ERROR(ParseArray(Npy(NpyHeader("|O", "()"), "")), Errc::kBadFile, "an array of Python objects");
  EXPECT_ERROR(ParseArray(Npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': ()}", "")),
               Errc::kBadFile, "evil: an array of records");
}

TEST(NpyHostile, HeadersThatAreOtherPython) {
  const auto parse = [](const std::string& header) { return ParseArray(Npy(header, "")); };
  EXPECT_ERROR(parse(""), Errc::kBadFile, "evil: npy header, character 0: expected '{'");
  EXPECT_ERROR(parse("{}"), Errc::kBadFile, "the npy header has no descr");
  EXPECT_ERROR(parse("{'descr': '|u1'}"), Errc::kBadFile, "the npy header has no fortran_order");
  EXPECT_ERROR(parse("{'descr': '|u1', 'fortran_order': False}"), Errc::kBadFile,
               "the npy header has no shape");
  EXPECT_ERROR(parse("{'descr': '|u1', 'descr': '|u1'}"), Errc::kBadFile, "the npy header has descr twice");
  EXPECT_ERROR(parse("{'x': 1}"), Errc::kBadFile, "the npy header has the unknown key 'x'");
  EXPECT_ERROR(parse("{'descr': open('x')}"), Errc::kBadFile, "character 10: expected a string");
  EXPECT_ERROR(parse(R"({'descr': '\x41'})"), Errc::kBadFile, "expected a string without escapes");
  EXPECT_ERROR(parse("{'descr': '|u1"), Errc::kBadFile, "expected a string that ends");
  EXPECT_ERROR(parse("{'fortran_order': 1}"), Errc::kBadFile, "expected True or False");
  EXPECT_ERROR(parse("{'shape': 3}"), Errc::kBadFile, "expected '('");
  EXPECT_ERROR(parse("{'shape': (3)}"), Errc::kBadFile, "expected ','");
  EXPECT_ERROR(parse("{'shape': (3, 4 5)}"), Errc::kBadFile, "expected ')'");
  EXPECT_ERROR(parse(NpyHeader("|u1", "(0,)") + "exit()"), Errc::kBadFile, "expected the end");
  EXPECT_ERROR(parse("{'shape': " + std::string(60000, '(')), Errc::kBadFile, "expected a number");
}

TEST(NpyHostile, ShapesThatAreNegativeOrOverflow) {
  const auto parse = [](const std::string& shape) { return ParseArray(Npy(NpyHeader("<f4", shape), "")); };
  EXPECT_ERROR(parse("(-1,)"), Errc::kBadFile, "expected a number in [0, 2^63)");
  EXPECT_ERROR(parse("(9223372036854775808,)"), Errc::kBadFile, "expected a number in [0, 2^63)");
  EXPECT_ERROR(parse("(4611686018427387904, 4)"), Errc::kBadFile,
               "its shape [4611686018427387904, 4] overflows");
  EXPECT_ERROR(parse("(0, 4611686018427387904, 4)"), Errc::kBadFile, "overflows");
  std::string many;
  for (int i = 0; i < 65; ++i) many += "1, ";
  EXPECT_ERROR(parse("(" + many + ")"), Errc::kBadFile, "evil: more than 64 dimensions");
}

TEST(NpyHostile, BooleansOtherThanZeroAndOne) {
  EXPECT_ERROR(ParseArray(Npy(NpyHeader("|b1", "(1,)"), "\2")), Errc::kBadFile,
               "boolean 0 is 2, must be 0 or 1");
}

TEST(Npz, ReadsStoredDeflatedAndZip64Entries) {
  const Tensor expected = torch::tensor({1.5f, -2.0f});
  for (const bool zip64 : {false, true}) {
    const auto arrays = ParseArchive(Zip({{.name = "a.npy", .content = FloatArray(), .zip64 = zip64},
                                          {.name = "b/c.npy", .content = FloatArray(), .deflated = true}}));
    ASSERT_EQ(arrays.size(), 2u);
    EXPECT_TRUE(SameBits(arrays.at("a"), expected));
    EXPECT_TRUE(SameBits(arrays.at("b/c"), expected));
  }
  EXPECT_TRUE(ParseArchive(Zip({})).empty());
}

// The end record's 16- and 32-bit fields say "elsewhere": in the ZIP64 record, as archives over 4 GiB have
// it.
TEST(Npz, ReadsAZip64Directory) {
  const std::string plain = Zip({{.name = "a.npy", .content = FloatArray()}});
  const size_t end = plain.rfind(kEnd), directory = plain.rfind(kCentral);
  Builder file;
  file.Text(plain.substr(0, end));
  file.U32(0x06064b50)
      .U64(44)
      .U16(45)
      .U16(45)
      .U32(0)
      .U32(0)
      .U64(1)
      .U64(1)
      .U64(end - directory)
      .U64(directory);
  file.U32(0x07064b50).U32(0).U64(end).U32(1);
  file.U32(0x06054b50).U16(0).U16(0).U16(0xFFFF).U16(0xFFFF).U32(0xFFFFFFFF).U32(0xFFFFFFFF).U16(0);
  EXPECT_TRUE(SameBits(ParseArchive(file.str()).at("a"), torch::tensor({1.5f, -2.0f})));
  std::string wrong = file.str();
  wrong[wrong.rfind("PK\6\7") + 15] = 1;
  EXPECT_ERROR(ParseArchive(wrong), Errc::kBadFile, "lies beyond its locator");
  wrong = file.str();
  wrong[wrong.rfind("PK\6\6")] = 'Q';
  EXPECT_ERROR(ParseArchive(wrong), Errc::kBadFile, "no ZIP64 end record here");
}

TEST(Npz, ReadsNumpysOwnFiles) {
  for (const char* name : {"fid_ref.npz", "fid_ref_compressed.npz"}) {
    ASSERT_TRUE(std::filesystem::exists(Fixture(name))) << Fixture(name);
    const auto arrays = ReadNpz(Fixture(name));
    ASSERT_TRUE(arrays.contains("mu") && arrays.contains("sigma")) << name;
    const int64_t n = arrays.at("mu").size(0);
    EXPECT_EQ(arrays.at("sigma").sizes(), at::IntArrayRef({n, n}));
    EXPECT_TRUE(arrays.at("sigma").isfinite().all().item<bool>());
    EXPECT_TRUE(arrays.at("sigma").allclose(arrays.at("sigma").t(), 1e-9, 1e-9));
  }
}

TEST(NpzHostile, FilesThatAreTruncatedOrNoArchive) {
  const std::string good = Zip({{.name = "a.npy", .content = FloatArray()}});
  EXPECT_ERROR(ParseArchive(""), Errc::kBadFile, "evil: 0 bytes, a zip archive has at least 22");
  EXPECT_ERROR(ParseArchive(good.substr(0, good.size() - 1)), Errc::kBadFile,
               "not a zip archive, or truncated");
  EXPECT_ERROR(ParseArchive(good + "x"), Errc::kBadFile, "not a zip archive, or truncated");
  EXPECT_ERROR(ParseArchive(std::string(100000, 'x')), Errc::kBadFile, "it has no end record");
  EXPECT_ERROR(ReadNpz("/nonexistent.npz"), Errc::kBadFile, "/nonexistent.npz: cannot open it");
}

TEST(NpzHostile, DirectoriesThatLie) {
  const std::string good = Zip({{.name = "a.npy", .content = FloatArray()}});
  EXPECT_ERROR(ParseArchive(Damage(good, kEnd, 16, 0x7FFFFFFF)), Errc::kBadFile, "does not end before");
  EXPECT_ERROR(ParseArchive(Damage(good, kEnd, 12, 0x7FFFFFFF)), Errc::kBadFile,
               "the directory of 2147483647 bytes");
  EXPECT_ERROR(ParseArchive(Damage(good, kEnd, 10, 1000, 2)), Errc::kBadFile, "claims 1000 entries in a");
  EXPECT_ERROR(ParseArchive(Damage(good, kEnd, 16, 0xFFFFFFFF)), Errc::kBadFile, "no ZIP64 locator here");
  EXPECT_ERROR(ParseArchive(Damage(good, kEnd, 4, 1, 2)), Errc::kBadFile, "a part of a split archive");
  EXPECT_ERROR(ParseArchive(Damage(good, kCentral, 0, 0)), Errc::kBadFile, "no directory entry here");
  EXPECT_ERROR(ParseArchive(Damage(good, kCentral, 28, 0xFFFF, 2)), Errc::kBadFile, "needs 65535 bytes");
  EXPECT_ERROR(ParseArchive(Damage(good, kCentral, 42, 5)), Errc::kBadFile,
               "entry 'a.npy' @5: no local header here");
  EXPECT_ERROR(ParseArchive(Damage(good, kCentral, 42, 0x7FFFFFFF)), Errc::kBadFile,
               "@2147483647: needs 4 bytes, 0");
  EXPECT_ERROR(ParseArchive(Damage(good, kCentral, 20, 0x7FFFFFFF)), Errc::kBadFile,
               "needs 2147483647 bytes");
  EXPECT_ERROR(ParseArchive(Damage(good, kCentral, 24, 7)), Errc::kBadFile, "bytes but claims 7");
  EXPECT_ERROR(ParseArchive(Damage(good, kCentral, 24, 0xFFFFFFFF)), Errc::kBadFile, "without a ZIP64 field");
  EXPECT_ERROR(ParseArchive(Damage(good, kCentral, 8, 1, 2)), Errc::kBadFile, "entry 'a.npy' is encrypted");
  EXPECT_ERROR(ParseArchive(Damage(good, kCentral, 10, 12, 2)), Errc::kBadFile, "is compressed by method 12");
  EXPECT_ERROR(ParseArchive(Damage(good, kLocal, 26, 0xFFFF, 2)), Errc::kBadFile, "left");
}

TEST(NpzHostile, DamagedContent) {
  const std::string good = Zip({{.name = "a.npy", .content = FloatArray()}});
  EXPECT_ERROR(ParseArchive(Damage(good, kCentral, 16, 0)), Errc::kBadFile,
               "evil: entry 'a.npy' is damaged: CRC-32");
  const std::string deflated = Zip({{.name = "a.npy", .content = FloatArray(), .deflated = true}});
  EXPECT_ERROR(ParseArchive(Damage(deflated, kLocal, 35, 0xFFFFFFFF)), Errc::kBadFile,
               "evil: entry 'a.npy': damaged compressed data after 0 bytes: invalid block type");
  EXPECT_ERROR(ParseArchive(Damage(deflated, kCentral, 24, 10)), Errc::kBadFile,
               "more than the 10 bytes declared");
  EXPECT_ERROR(ParseArchive(Damage(deflated, kCentral, 24, 1000)), Errc::kBadFile, "more were declared");
  EXPECT_ERROR(ParseArchive(Damage(deflated, kCentral, 24, 0xFFFFFF)), Errc::kBadFile,
               "claims 16777215 bytes, which");
  EXPECT_ERROR(ParseArchive(Damage(deflated, kCentral, 20, 5)), Errc::kBadFile,
               "the compressed data stop after");
}

TEST(NpzHostile, EntriesThatShareBytes) {
  std::string archive =
      Zip({{.name = "a.npy", .content = FloatArray()}, {.name = "b.npy", .content = FloatArray()}});
  EXPECT_ERROR(ParseArchive(Damage(archive, kCentral, 42, 0)), Errc::kBadFile, "'a.npy' and 'b.npy' overlap");
}

TEST(NpzHostile, NamesThatAreTwiceThereOrNoArrays) {
  EXPECT_ERROR(
      ParseArchive(Zip({{.name = "a.npy", .content = FloatArray()}, {.name = "a.npy", .content = "x"}})),
      Errc::kBadFile, "evil: entry 'a.npy' is there twice");
  EXPECT_ERROR(ParseArchive(Zip({{.name = "notes.txt", .content = "x"}})), Errc::kBadFile,
               "evil: entry 'notes.txt' is not an .npy array");
  EXPECT_ERROR(ParseArchive(Zip({{.name = "a.npy", .content = "x"}})), Errc::kBadFile,
               "evil: entry 'a.npy' @0: not an npy array");
}

}  // namespace
}  // namespace gas
