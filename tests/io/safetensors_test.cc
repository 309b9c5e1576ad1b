#include "gas/io/safetensors.h"

#include <limits>

#include "gas/io/file.h"
#include "io/helpers.h"
#include "support/expect.h"

namespace gas {
namespace {

using testing::Builder;
using testing::SafetensorsFile;
using testing::SameBits;
using testing::TempDir;

Safetensors ParsedSafetensors(const std::string& bytes) { return ParseSafetensors("evil", bytes); }

Safetensors ParseHeader(std::string_view header, size_t data_bytes = 0) {
  return ParsedSafetensors(SafetensorsFile(header, std::string(data_bytes, '\0')));
}

std::string HeaderOf(const std::filesystem::path& path) {
  const Bytes bytes = ReadFile(path);
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  return {bytes.begin() + 8, bytes.begin() + 8 + static_cast<ptrdiff_t>(length)};
}

TEST(Safetensors, RoundTripsEveryDtypeShapeAndMetadata) {
  const TempDir dir;
  std::map<std::string, Tensor> tensors;
  for (const auto type : {torch::kFloat64, torch::kFloat32, torch::kFloat16, torch::kBFloat16, torch::kInt64,
                          torch::kInt32, torch::kInt16, torch::kInt8, torch::kUInt8, torch::kBool}) {
    tensors[c10::toString(type)] = (torch::arange(6) % 2).reshape({2, 3}).to(type);
  }
  tensors["scalar"] = torch::tensor(2.5);
  tensors["empty"] = torch::empty({3, 0, 2});
  tensors["transposed"] = torch::arange(6, torch::kFloat32).reshape({2, 3}).t();
  const std::map<std::string, std::string> metadata = {{"gas_format", "1"},
                                                       {"text", "\"quoted\" \xC3\xA9\n"}};
  WriteSafetensors(dir / "file", tensors, metadata);
  const Safetensors read = ReadSafetensors(dir / "file");
  EXPECT_EQ(read.metadata, metadata);
  ASSERT_EQ(read.tensors.size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    EXPECT_TRUE(SameBits(read.at(name), tensor.contiguous())) << name;
    EXPECT_TRUE(read.at(name).is_contiguous()) << name;
  }
  EXPECT_ERROR(read.at("none"), Errc::kBadFile, "file: no tensor 'none' among its 13");
}

TEST(Safetensors, RoundTripsNoTensorsAtAll) {
  const TempDir dir;
  WriteSafetensors(dir / "file", {});
  EXPECT_TRUE(ReadSafetensors(dir / "file").tensors.empty());
}

TEST(Safetensors, AlignsEachTensorToItsElements) {
  const TempDir dir;
  WriteSafetensors(dir / "file", {{"a", torch::zeros({3}, torch::kUInt8)},
                                  {"b", torch::zeros({3}, torch::kFloat16)},
                                  {"c", torch::zeros({3}, torch::kFloat64)}});
  const std::string header = HeaderOf(dir / "file");
  EXPECT_EQ(header.size() % 8, 0u);
  const auto json = nlohmann::json::parse(header);
  EXPECT_EQ(json["c"]["data_offsets"], nlohmann::json({0, 24}));
  EXPECT_EQ(json["b"]["data_offsets"], nlohmann::json({24, 30}));
  EXPECT_EQ(json["a"]["data_offsets"], nlohmann::json({30, 33}));
}

TEST(Safetensors, ReadsAFileWrittenByHand) {
  const std::string header = R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[1,9]},)"
                             R"("u":{"shape":[1],"dtype":"U8","data_offsets":[0,1]}}  )";
  const Builder data = Builder().U8(7).F32(1.5f).F32(-2);
  const Safetensors read = ParsedSafetensors(SafetensorsFile(header, data.str()));
  EXPECT_TRUE(SameBits(read.at("x"), torch::tensor({1.5f, -2.0f})));
  EXPECT_TRUE(SameBits(read.at("u"), torch::full({1}, 7, torch::kUInt8)));
}

TEST(Safetensors, RefusesToWriteWhatTheFormatCannotHold) {
  const TempDir dir;
  const auto write = [&](const std::string& name, const Tensor& tensor) {
    WriteSafetensors(dir / "file", {{name, tensor}});
    return 0;
  };
  EXPECT_ERROR(write("c", torch::zeros({1}, torch::kComplexFloat)), Errc::kBadOption,
               "'c' has dtype ComplexFloat");
  EXPECT_ERROR(write("__metadata__", torch::zeros({1})), Errc::kBadOption, "__metadata__");
  EXPECT_ERROR(write("u", Tensor()), Errc::kBadOption, "'u' is undefined");
  EXPECT_ERROR(write("bad \xFF", torch::zeros({1})), Errc::kBadOption, "the header cannot be written");
  EXPECT_FALSE(std::filesystem::exists(dir / "file"));
}

TEST(SafetensorsHostile, FilesThatEndEarly) {
  EXPECT_ERROR(ParsedSafetensors(""), Errc::kBadFile, "evil: 0 bytes, a header length alone needs 8");
  EXPECT_ERROR(ParsedSafetensors("1234567"), Errc::kBadFile, "evil: 7 bytes");
  EXPECT_ERROR(ParseHeader(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 7), Errc::kBadFile,
               "evil: tensor 'x' has bytes [0, 8) of 7");
  const TempDir dir;
  EXPECT_ERROR(ReadSafetensors(dir / "none"), Errc::kBadFile, "none: not there");
  EXPECT_ERROR(ReadSafetensors(dir.path()), Errc::kBadFile, "not a regular file");
}

TEST(SafetensorsHostile, HeaderLongerThanTheFile) {
  EXPECT_ERROR(ParsedSafetensors(Builder().U64(1u << 30).Text("{}").str()), Errc::kBadFile,
               "evil @0: header of 1073741824 bytes, 2 left");
  EXPECT_ERROR(ParsedSafetensors(Builder().U64(std::numeric_limits<uint64_t>::max()).Text("{}").str()),
               Errc::kBadFile, "evil @0: header of 18446744073709551615 bytes, 2 left");
}

TEST(SafetensorsHostile, HeadersThatAreNotTheFormats) {
  EXPECT_ERROR(ParseHeader(""), Errc::kBadFile, "evil @8: the header does not begin with '{'");
  EXPECT_ERROR(ParseHeader(" {}"), Errc::kBadFile, "does not begin with '{'");
  EXPECT_ERROR(ParseHeader(R"({"x":)"), Errc::kBadFile, "the header is not JSON");
  EXPECT_ERROR(ParseHeader("{} {}"), Errc::kBadFile, "the header is not JSON");
  EXPECT_ERROR(ParseHeader("{\"\xFF\":1}"), Errc::kBadFile, "the header is not JSON");
  EXPECT_ERROR(ParseHeader(R"({"x":1})"), Errc::kBadFile,
               "evil: header, 'x': the number 1 is not allowed here");
  EXPECT_ERROR(ParseHeader(R"({"x":null})"), Errc::kBadFile, "'x': null is not allowed here");
  EXPECT_ERROR(ParseHeader(R"({"x":{"shape":[[1]]}})"), Errc::kBadFile,
               "'x' shape: an array is not allowed here");
  EXPECT_ERROR(ParseHeader(R"({"x":{"shape":[{}]}})"), Errc::kBadFile,
               "'x' shape: an object is not allowed here");
  EXPECT_ERROR(ParseHeader(R"({"x":{"colour":"red"}})"), Errc::kBadFile,
               "'x' colour: a string is not allowed");
  EXPECT_ERROR(ParseHeader(R"({"__metadata__":{"a":1}})"), Errc::kBadFile, "'__metadata__' a: the number 1");
  EXPECT_ERROR(ParseHeader(R"({"__metadata__":{"a":{}}})"), Errc::kBadFile, "'__metadata__' a: an object");
}

TEST(SafetensorsHostile, IncompleteTensors) {
  EXPECT_ERROR(ParseHeader(R"({"x":{}})"), Errc::kBadFile, "tensor 'x' has no dtype");
  EXPECT_ERROR(ParseHeader(R"({"x":{"dtype":"F32"}})"), Errc::kBadFile, "tensor 'x' has no shape");
  EXPECT_ERROR(ParseHeader(R"({"x":{"dtype":"F32","shape":[]}})"), Errc::kBadFile, "has no data_offsets");
  EXPECT_ERROR(ParseHeader(R"({"x":{"dtype":"F32","shape":[],"data_offsets":[0]}})"), Errc::kBadFile,
               "tensor 'x' has 1 data_offsets, must be 2");
}

TEST(SafetensorsHostile, DuplicateKeys) {
  const std::string x = R"("x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]})";
  EXPECT_ERROR(ParseHeader("{" + x + "," + x + "}", 1), Errc::kBadFile, "evil: 'x' is there twice");
  EXPECT_ERROR(ParseHeader(R"({"x":{"dtype":"U8","dtype":"I8"}})"), Errc::kBadFile,
               "'x' dtype is there twice");
  EXPECT_ERROR(ParseHeader(R"({"x":{"shape":[1],"shape":[1]}})"), Errc::kBadFile, "'x' shape is there twice");
  EXPECT_ERROR(ParseHeader(R"({"__metadata__":{"a":"1","a":"2"}})"), Errc::kBadFile,
               "metadata 'a' is there twice");
}

TEST(SafetensorsHostile, UnknownDtype) {
  EXPECT_ERROR(ParseHeader(R"({"x":{"dtype":"F4","shape":[1],"data_offsets":[0,1]}})", 1), Errc::kBadFile,
               "evil: tensor 'x' has the unknown dtype 'F4'");
}

TEST(SafetensorsHostile, ShapesThatAreNegativeOverflowOrDoNotFit) {
  const auto shape = [](const std::string& text, size_t bytes) {
    return ParseHeader(
        R"({"x":{"dtype":"F32","shape":)" + text + R"(,"data_offsets":[0,)" + std::to_string(bytes) + "]}}",
        bytes);
  };
  EXPECT_ERROR(shape("[-1]", 4), Errc::kBadFile, "'x' shape: the number -1 is not allowed here");
  EXPECT_ERROR(shape("[1.5]", 4), Errc::kBadFile, "'x' shape: the number 1.5 is not allowed here");
  EXPECT_ERROR(shape("[9223372036854775808]", 4), Errc::kBadFile, "the number 9223372036854775808");
  EXPECT_ERROR(shape("[4611686018427387904,4]", 0), Errc::kBadFile, "'x' has a shape that overflows");
  EXPECT_ERROR(shape("[0,4611686018427387904,4]", 0), Errc::kBadFile, "'x' has a shape that overflows");
  EXPECT_ERROR(shape("[3]", 8), Errc::kBadFile,
               "tensor 'x' of shape [3] needs 12 bytes, its data_offsets give 8");
  std::string many = "[1";
  for (int i = 0; i < 64; ++i) many += ",1";
  EXPECT_ERROR(shape(many + "]", 4), Errc::kBadFile, "'x' shape: more than 64 numbers is not allowed here");
}

TEST(SafetensorsHostile, RangesThatOverlapLeaveGapsOrRunBackwards) {
  const auto two = [](const std::string& a, const std::string& b, size_t bytes) {
    return ParseHeader(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":)" + a +
                           R"(},"b":{"dtype":"U8","shape":[2],"data_offsets":)" + b + "}}",
                       bytes);
  };
  EXPECT_EQ(two("[2,4]", "[0,2]", 4).tensors.size(), 2u);
  EXPECT_ERROR(two("[0,2]", "[1,3]", 3), Errc::kBadFile,
               "'b' begins at 1 and overlaps another that ends at 2");
  EXPECT_ERROR(two("[0,2]", "[0,2]", 2), Errc::kBadFile, "'b' begins at 0 and overlaps");
  EXPECT_ERROR(two("[0,2]", "[3,5]", 5), Errc::kBadFile,
               "bytes [2, 3) before tensor 'b' belong to no tensor");
  EXPECT_ERROR(two("[0,2]", "[2,4]", 6), Errc::kBadFile, "the last 2 bytes belong to no tensor");
  EXPECT_ERROR(two("[0,2]", "[4,2]", 4), Errc::kBadFile, "'b' has bytes [4, 2) of 4");
  EXPECT_ERROR(two("[0,2]", "[9223372036854775806,9223372036854775807]", 4), Errc::kBadFile, "of 4");
}

TEST(SafetensorsHostile, DeepNesting) {
  const std::string arrays(5'000'000, '[');
  EXPECT_ERROR(ParseHeader(R"({"x":{"shape":)" + arrays), Errc::kBadFile, "an array is not allowed here");
  std::string objects;
  for (int i = 0; i < 1'000'000; ++i) objects += R"({"x":)";
  EXPECT_ERROR(ParseHeader(objects), Errc::kBadFile, "an object is not allowed here");
}

TEST(SafetensorsHostile, BooleansOtherThanZeroAndOne) {
  EXPECT_ERROR(ParsedSafetensors(
                   SafetensorsFile(R"({"x":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}})", "\x01\x02")),
               Errc::kBadFile, "evil: tensor 'x': boolean 1 is 2, must be 0 or 1");
}

}  // namespace
}  // namespace gas
