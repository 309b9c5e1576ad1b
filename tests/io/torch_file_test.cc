#include "gas/io/torch_file.h"

#include <fstream>

#include "gas/io/file.h"
#include "gas/io/torch_tensors.h"
#include "io/open_torch.h"
#include "io/valid_files.h"
#include "support/expect.h"
#include "support/formats.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

using testing::IntegerAt;
using testing::NamedStorage;
using testing::Names;
using testing::NestedStorage;
using testing::OpenTorch;
using testing::PickledDict;
using testing::PickledTensor;
using testing::PickledText;
using testing::SameBits;
using testing::TorchStream;
using testing::TorchZip;
using testing::WholePickle;
using namespace std::string_literals;

std::filesystem::path Committed(const std::string& name) {
  return testing::SourceFixtureFolder() / "pickles" / name;
}

// Files of a test's own bytes.
class OfBytes {
 public:
  std::shared_ptr<const TorchFile> File(const std::string& bytes) const {
    const auto path = folder_.path() / "file.pt";
    std::filesystem::remove(path);  // the last one may still be mapped
    std::ofstream(path, std::ios::binary) << bytes;
    return OpenTorch(path);
  }
  TorchTensors Tensors(const std::string& bytes) const { return TorchTensors(File(bytes)); }

 private:
  testing::TempFolder folder_{"torch_file"};
};

// ---- what PyTorch and numpy wrote (tests/fixtures/pickles)

TEST(TorchFile, ReadsTensorsOfAllThreeFormats) {
  const Tensor whole = torch::arange(12, torch::kFloat32);
  for (const char* name : {"tensors.pt", "tensors_stream.pt", "tensors.pkl"}) {
    SCOPED_TRACE(name);
    const TorchTensors file(OpenTorch(Committed(name)));
    EXPECT_TRUE(SameBits(file.View("whole"), whole));
    EXPECT_TRUE(SameBits(file.View("part"), whole.slice(0, 4, 8)));
    EXPECT_TRUE(SameBits(file.View("transposed"), whole.view({3, 4}).t().contiguous()));
    EXPECT_TRUE(SameBits(file.View("strided"), whole.slice(0, 1, 12, 3).contiguous()));
    EXPECT_TRUE(SameBits(file.View("scalar"), torch::tensor(2.5, torch::kFloat64)));
    EXPECT_TRUE(SameBits(file.View("empty"), torch::zeros({0, 3})));
    EXPECT_TRUE(SameBits(file.View("parameter"), whole.slice(0, 0, 2)));
    EXPECT_TRUE(SameBits(file.View("bool"), torch::tensor({true, false})));
    EXPECT_TRUE(SameBits(file.View("nested.a.b"), torch::ones(1)));
    EXPECT_TRUE(SameBits(file.View("list.0"), torch::zeros(1)));
    EXPECT_TRUE(SameBits(file.View("3"), torch::ones(2)));
    EXPECT_TRUE(file.View("transposed").is_contiguous());
    for (const auto& [key, dtype] : {std::pair{"float16", torch::kFloat16},
                                     {"bfloat16", torch::kBFloat16},
                                     {"int8", torch::kInt8},
                                     {"int16", torch::kInt16},
                                     {"int32", torch::kInt32},
                                     {"int64", torch::kInt64},
                                     {"uint8", torch::kUInt8}}) {
      EXPECT_TRUE(SameBits(file.View(key), torch::arange(3).to(dtype))) << key;
      EXPECT_EQ(file.tensors().at(key).dtype, dtype) << key;
    }
    EXPECT_EQ(file.tensors().size(), 18);
    EXPECT_EQ(file.tensors().at("transposed").shape, (std::vector<int64_t>{4, 3}));
    EXPECT_ERROR(file.View("none"), Errc::kBadFile, "no tensor \"none\"");
  }
}

TEST(TorchFile, ReadsOtherValuesByTheirPath) {
  for (const char* name : {"tensors.pt", "tensors_stream.pt", "tensors.pkl"}) {
    SCOPED_TRACE(name);
    const auto file = OpenTorch(Committed(name));
    EXPECT_EQ(IntegerAt(*file, {"step"}), 7);
    EXPECT_EQ(IntegerAt(*file, {"list", "1"}), 5);
    EXPECT_EQ(std::get<double>(*file->ScalarOf(*file->Find(Names{"rate"}))), 0.5);
    EXPECT_EQ(std::get<std::string>(*file->ScalarOf(*file->Find(Names{"name"}))), "x");
    EXPECT_TRUE(std::get<bool>(*file->ScalarOf(*file->Find(Names{"flag"}))));
    EXPECT_NE(file->Find(Names{"none"}), nullptr);
    EXPECT_FALSE(file->ScalarOf(*file->Find(Names{"none"})));
    EXPECT_FALSE(file->ScalarOf(*file->Find(Names{"whole"})));
    EXPECT_TRUE(file->TensorOf(*file->Find(Names{"nested", "a", "b"})));
    EXPECT_EQ(file->Find(Names{"nested", "b"}), nullptr);
    EXPECT_EQ(file->Find(Names{"list", "2"}), nullptr);
    EXPECT_EQ(file->Find(Names{"list", "-1"}), nullptr);
    EXPECT_EQ(file->Find(Names{"step", "x"}), nullptr);
  }
}

TEST(TorchFile, PartOfTheFileByItsPath) {
  const auto file = OpenTorch(Committed("tensors.pt"));
  const TorchTensors part(file, {"nested"});
  EXPECT_EQ(part.tensors().size(), 1);
  EXPECT_EQ(part.tensors().count("a.b"), 1);
  EXPECT_ERROR(TorchTensors(file, {"nested", "x"}), Errc::kBadFile, "nothing at nested.x");
  EXPECT_ERROR(TorchTensors(file, {"step"}), Errc::kBadFile, "no tensors at step");
  EXPECT_ERROR(TorchTensors(file, {"whole"}), Errc::kBadFile, "a tensor without a name");
}

TEST(TorchFile, ViewsOfOneStorageShareIt) {
  const TorchTensors file(OpenTorch(Committed("tensors.pt")));
  const Tensor whole = file.View("whole"), part = file.View("part");
  EXPECT_EQ(part.data_ptr(), static_cast<char*>(whole.data_ptr()) + 16);
}

TEST(TorchFile, ModulesHaveTheNamesOfTheirStateDict) {
  const auto file = OpenTorch(Committed("module.pkl"), UnknownClasses::kKeep);
  const TorchTensors module(file, {"module"}), state(file, {"state_dict"});
  EXPECT_EQ(state.tensors().count("linear.weight"), 1);
  EXPECT_EQ(state.tensors().count("kept"), 1);
  EXPECT_EQ(state.tensors().size(), 8);
  ASSERT_EQ(module.tensors().size(), state.tensors().size());
  for (const auto& [name, info] : state.tensors()) {
    EXPECT_TRUE(SameBits(module.View(name), state.View(name))) << name;
  }
  EXPECT_EQ(file->ClassOf(*file->Find(Names{"module"})), "torch.nn.modules.container.Sequential");
  EXPECT_EQ(IntegerAt(*file, {"module", "_modules", "linear", "in_features"}), 2);
  EXPECT_ERROR(OpenTorch(Committed("module.pkl")), Errc::kBadFile,
               "an object of the class \"torch.nn.modules.container.Sequential\"");
}

TEST(TorchFile, ReadsNumpysArraysAndScalars) {
  for (const char protocol : "0245"s) {
    SCOPED_TRACE(protocol);
    const auto file = OpenTorch(Committed("numpy_"s + protocol + ".pkl"));
    const Tensor six = torch::arange(6).view({2, 3});
    const auto array = [&](const char* name) {
      return ContiguousView(name, *file->TensorOf(*file->Find(Names{name})), file->mapping());
    };
    for (const auto& [name, dtype] : {std::pair{"f2", torch::kFloat16},
                                      {"f4", torch::kFloat32},
                                      {"f8", torch::kFloat64},
                                      {"i1", torch::kInt8},
                                      {"i2", torch::kInt16},
                                      {"i4", torch::kInt32},
                                      {"i8", torch::kInt64},
                                      {"u1", torch::kUInt8},
                                      {"?", torch::kBool}}) {
      EXPECT_TRUE(SameBits(array(name), six.to(dtype))) << name;
    }
    EXPECT_TRUE(SameBits(array("fortran"), six.to(torch::kFloat32)));
    EXPECT_ERROR(array("big"), Errc::kBadFile, "element type \">f4\", must be little-endian");
    EXPECT_EQ(std::get<double>(*file->ScalarOf(*file->Find(Names{"float"}))), 0.5);
    EXPECT_EQ(IntegerAt(*file, {"integer"}), -3);
    EXPECT_TRUE(std::get<bool>(*file->ScalarOf(*file->Find(Names{"bool"}))));
    EXPECT_EQ(std::get<std::string>(*file->ScalarOf(*file->Find(Names{"text"}))), "n\xc3\xa9");
  }
}

void ReadDamaged(const OfBytes& of, const std::string& bytes) {
  try {
    const TorchTensors tensors = of.Tensors(bytes);
    for (const auto& [name, info] : tensors.tensors()) tensors.View(name);
  } catch (const Error& e) {
    EXPECT_EQ(static_cast<int>(e.code()), static_cast<int>(Errc::kBadFile)) << e.what();
  }
}

// Cuts the file before, and flips one bit in, every `stride`-th byte.
void CutAndFlip(const std::string& file, size_t stride) {
  const OfBytes of;
  std::string bytes = file;
  for (size_t i = 0; i < bytes.size(); i += stride) {
    EXPECT_ERROR(of.Tensors(bytes.substr(0, i)), Errc::kBadFile, "file.pt");
    bytes[i] = static_cast<char>(bytes[i] ^ (1 << i % 8));
    ReadDamaged(of, bytes);
    bytes[i] = file[i];
  }
}

TEST(TorchFile, ReadsOrRefusesWhatIsCutOrFlipped) {
  for (const std::string& file : testing::ValidTorchFiles()) CutAndFlip(file, 1);
  for (const char* name : {"tensors.pt", "tensors_stream.pt", "tensors.pkl"}) {
    SCOPED_TRACE(name);
    const Bytes file = ReadFile(Committed(name));
    CutAndFlip({file.begin(), file.end()}, 7);
  }
}

// ---- files of one tensor "x" over the storage "0"

const std::string kStoredNumbers(24, '\1');
const std::vector<NamedStorage> kOneStorage = {{"0", kStoredNumbers}};

std::string ZipOf(const PickledTensor& tensor, const std::vector<NamedStorage>& storages = kOneStorage) {
  return TorchZip(PickledDict({{"x", tensor.str()}}), storages);
}

std::string StreamOf(const PickledTensor& tensor, const std::vector<NamedStorage>& storages = kOneStorage) {
  return TorchStream(PickledDict({{"x", tensor.str()}}), storages);
}

TEST(TorchFile, RefusesTensorsOutsideOfTheirStorage) {
  const OfBytes of;
  const int64_t huge = std::numeric_limits<int64_t>::max();
  EXPECT_NO_THROW(of.Tensors(ZipOf({})));
  const std::pair<PickledTensor, const char*> tensors[] = {
      {{.offset = 1}, "does not end within a storage of 6"},
      {{.offset = 7}, "begins at element 7 of a storage of 6"},
      {{.offset = -1}, "begins at element -1"},
      {{.shape = {3, 3}}, "9 elements of a storage of 6"},
      {{.strides = {4, 1}}, "does not end within"},
      {{.strides = {huge, huge}}, "does not end within"},
      {{.offset = 6, .shape = {2}, .strides = {huge}}, "does not end within"},
      {{.strides = {-3, 1}}, "a negative stride"},
      {{.strides = {3}}, "2 dimensions but 1 strides"},
      {{.shape = {huge, 4}}, "overflows"},
      {{.shape = {-2, 3}}, "overflows"},
      {{.shape = {0, huge, huge}, .strides = {1, 1, 1}}, "overflows"},
      {{.shape = {1 << 30}, .strides = {0}}, "1073741824 elements of a storage of 6"},
      {{.shape = std::vector<int64_t>(65, 1), .strides = std::vector<int64_t>(65, 1)}, "at most 64"},
  };
  for (const auto& [tensor, message] : tensors) {
    EXPECT_ERROR(of.Tensors(ZipOf(tensor)), Errc::kBadFile, message);
    EXPECT_ERROR(of.Tensors(StreamOf(tensor)), Errc::kBadFile, message);
  }
}

TEST(TorchFile, RefusesStoragesThatAreNotWhatTheFileSays) {
  const OfBytes of;
  const std::vector<NamedStorage> cut = {{"0", kStoredNumbers.substr(4)}};
  EXPECT_ERROR(of.Tensors(ZipOf({}, cut)), Errc::kBadFile, "\"0\" has 20 bytes, must have 24");
  EXPECT_ERROR(of.Tensors(StreamOf({}, cut)), Errc::kBadFile, "\"0\" has 20 bytes, must have 24");
  EXPECT_ERROR(of.Tensors(ZipOf({}, {})), Errc::kBadFile, "the storage \"0\" is not in the file");
  EXPECT_ERROR(of.Tensors(StreamOf({}, {})), Errc::kBadFile, "the storage \"0\" is not in the file");
  EXPECT_ERROR(of.Tensors(ZipOf({.type = "torch\nComplexFloatStorage"})), Errc::kBadFile,
               "a storage of the type \"torch.ComplexFloatStorage\"");
  EXPECT_ERROR(of.Tensors(ZipOf({.type = "os\nFloatStorage"})), Errc::kBadFile, "\"os.FloatStorage\"");
  EXPECT_ERROR(of.Tensors(ZipOf({.elements = -1})), Errc::kBadFile, "a storage of -1 elements");
  EXPECT_ERROR(of.Tensors(ZipOf({.elements = std::numeric_limits<int64_t>::max()})), Errc::kBadFile,
               "a storage of 9223372036854775807 elements");
  EXPECT_ERROR(of.Tensors(StreamOf({}, {{"0", kStoredNumbers}, {"1", ""}})), Errc::kBadFile,
               "no value has the storage \"1\"");
  EXPECT_ERROR(of.Tensors(StreamOf({}, {{"0", kStoredNumbers}, {"0", kStoredNumbers}})), Errc::kBadFile,
               "is there twice");
  EXPECT_ERROR(of.Tensors(WholePickle(PickledDict({{"x", PickledTensor().str()}}))), Errc::kBadFile,
               "the storage \"0\" is not in the file");
  // A stream whose storage claims 2^61 elements.
  std::string stream = StreamOf({});
  const int64_t claim = int64_t{1} << 61;
  std::memcpy(stream.data() + stream.size() - kStoredNumbers.size() - sizeof claim, &claim, sizeof claim);
  EXPECT_ERROR(of.Tensors(stream), Errc::kBadFile, "2305843009213693952 elements of 4 bytes, 24 bytes left");
}

TEST(TorchFile, RefusesBooleansOtherThanZeroAndOne) {
  const OfBytes of;
  const PickledTensor flags{.type = "torch\nBoolStorage", .elements = 3, .shape = {3}, .strides = {1}};
  EXPECT_NO_THROW(of.Tensors(ZipOf(flags, {{"0", "\0\1\0"s}})).View("x"));
  EXPECT_ERROR(of.Tensors(ZipOf(flags, {{"0", "\0\2\0"s}})).View("x"), Errc::kBadFile, "boolean 1 is 2");
}

TEST(TorchFile, ReadsPartsOfStoragesThatOldStreamsShare) {
  const std::string type = "torch\nFloatStorage", view = "(" + PickledText("v") + "K\2K\3t";
  const std::string storage = "(" + PickledText("storage") + "c" + type + "\n" + PickledText("0") +
                              PickledText("cpu") + "K\6" + view + "tQ";
  std::string numbers(24, '\0');
  for (int i = 0; i < 6; ++i) {
    const auto number = static_cast<float>(i);
    std::memcpy(numbers.data() + 4 * i, &number, sizeof number);
  }
  const OfBytes of;
  const PickledTensor three{.shape = {3}, .strides = {1}};
  const auto file = of.Tensors(TorchStream(PickledDict({{"x", three.OfStorage(storage)}}), {{"0", numbers}}));
  EXPECT_TRUE(SameBits(file.View("x"), torch::tensor({2.f, 3.f, 4.f})));
  const PickledTensor four{.shape = {4}, .strides = {1}};
  EXPECT_ERROR(of.Tensors(TorchStream(PickledDict({{"x", four.OfStorage(storage)}}), {{"0", numbers}})),
               Errc::kBadFile, "4 elements of a storage of 3");
}

TEST(TorchFile, RefusesArchivesThatPyTorchDoesNotWrite) {
  const OfBytes of;
  const std::string pickle = WholePickle(PickledDict({{"x", PickledTensor().str()}}));
  const auto with = [&](const testing::ZipPart& part) {
    return of.Tensors(testing::Zip(
        {{.name = "a/data.pkl", .content = pickle}, {.name = "a/data/0", .content = kStoredNumbers}, part}));
  };
  EXPECT_NO_THROW(with({.name = "a/.data/serialization_id", .content = "1"}));
  EXPECT_ERROR(with({.name = "b/data.pkl", .content = pickle}), Errc::kBadFile, "one pickle is read");
  EXPECT_ERROR(with({.name = "a/byteorder", .content = "big"}), Errc::kBadFile, "only little-endian");
  EXPECT_ERROR(with({.name = "a/constants.pkl", .content = pickle}), Errc::kBadFile, "a TorchScript archive");
  EXPECT_ERROR(with({.name = "a/data/1", .content = kStoredNumbers, .deflated = true}), Errc::kBadFile,
               "entry \"a/data/1\" is compressed");
  EXPECT_ERROR(of.Tensors(testing::Zip({{.name = "x", .content = "y"}})), Errc::kBadFile,
               "a zip archive without an entry data.pkl");
  EXPECT_ERROR(of.Tensors(testing::Zip({{.name = "a/data.pkl", .content = pickle, .deflated = true}})),
               Errc::kBadFile, "is compressed");
  // The pickle's entry and the storage's have the same place in the directory.
  std::string overlap =
      testing::Zip({{.name = "a/data.pkl", .content = pickle}, {.name = "a/data/0", .content = pickle}});
  const size_t offset = overlap.rfind("a/data/0") - 4;
  std::memset(overlap.data() + offset, 0, 4);
  EXPECT_ERROR(of.Tensors(overlap), Errc::kBadFile, "overlap");
}

TEST(TorchFile, RefusesOtherFiles) {
  const OfBytes of;
  EXPECT_ERROR(of.File(""), Errc::kBadFile, "file.pt @0");
  EXPECT_ERROR(of.File("N.N."), Errc::kBadFile, "@2: 2 bytes follow the pickle");
  EXPECT_ERROR(of.File("cos\nsystem\n(S'id'\ntR."), Errc::kBadFile, "it calls \"os.system\"");
  EXPECT_ERROR(of.File(std::string(257, 'a') + "ustar"), Errc::kBadFile, "a tar archive");
  EXPECT_ERROR(OpenTorch("/nowhere/x.pt"), Errc::kBadFile, "/nowhere/x.pt");
  const std::string stream = StreamOf({});
  std::string version = stream, order = stream;
  version[version.find("M\xe9\x03") + 1] = 0;
  EXPECT_ERROR(of.File(version), Errc::kBadFile, "version 768, must be 1001");
  order[order.find('\x88')] = '\x89';
  EXPECT_ERROR(of.File(order), Errc::kBadFile, "only little-endian");
}

TEST(TorchFile, RefusesNestedFilesOtherThanStorages) {
  const OfBytes of;
  const auto nested = [&](const std::string& storage) {
    return of.Tensors(WholePickle(PickledDict({{"x", PickledTensor().OfStorage(storage)}})));
  };
  const std::string inner = TorchStream(PickledTensor().Storage(), kOneStorage);
  EXPECT_NO_THROW(nested(NestedStorage(inner)).View("x"));
  EXPECT_ERROR(nested(NestedStorage("N.")), Errc::kBadFile, "not a stream of torch.save");
  EXPECT_ERROR(nested(NestedStorage(TorchStream("N", {}))), Errc::kBadFile, "something other than a storage");
  EXPECT_ERROR(nested(NestedStorage(TorchStream(NestedStorage(inner), {}))), Errc::kBadFile,
               "it calls \"torch.storage._load_from_bytes\"");
  EXPECT_ERROR(nested("N"), Errc::kBadFile, "something that is not a storage");
}

TEST(TorchFile, RefusesNamesThatAreNotUnique) {
  const OfBytes of;
  const std::string tensor = PickledTensor().str(),
                    both = PickledDict({{"a.b", tensor}, {"a", PickledDict({{"b", tensor}})}});
  EXPECT_ERROR(of.Tensors(TorchZip(both, kOneStorage)), Errc::kBadFile, "two tensors have the name \"a.b\"");
  EXPECT_ERROR(of.Tensors(TorchZip("}N" + tensor + "s", kOneStorage)), Errc::kBadFile, "names no tensor");
  EXPECT_ERROR(of.Tensors(TorchZip(PickledDict({{std::string(1025, 'x'), tensor}}), kOneStorage)),
               Errc::kBadFile, "of 1025 bytes, at most 1024");
}

// Each list has the one before it twice: 2^40 names, if they were walked.
TEST(TorchFile, BoundsTheWalkOfSharedValues) {
  const OfBytes of;
  std::string lists = PickledTensor().str() + "q\0"s;
  for (int i = 0; i < 40; ++i) lists += "0(h\0h\0lq\0"s;
  const std::string file = TorchZip("]" + lists + "a", kOneStorage);
  EXPECT_ERROR(of.Tensors(file), Errc::kBadFile, "more than 100000 tensors");
}

// A file of 5 GB whose content is a hole: what is opened is mapped, and ZIP64 offsets are read.
TEST(TorchFile, OpensLargeFilesInPlace) {
  const int64_t elements = int64_t{5} << 28, bytes = 4 * elements;
  const std::string pickle = WholePickle(PickledDict(
      {{"x", PickledTensor{.key = "big", .elements = elements, .shape = {elements}, .strides = {1}}.str()}}));
  testing::Builder head, tail;
  const auto local = [](testing::Builder& to, const std::string& name) {
    to.U32(0x04034b50).Zeros(22).U16(static_cast<uint16_t>(name.size())).U16(0).Text(name);
  };
  const auto central = [](testing::Builder& to, const std::string& name, uint64_t size, uint64_t at) {
    to.U32(0x02014b50)
        .Zeros(16)
        .U32(0xFFFFFFFF)
        .U32(0xFFFFFFFF)
        .U16(static_cast<uint16_t>(name.size()))
        .U16(28);
    to.Zeros(10).U32(0xFFFFFFFF).Text(name).U16(1).U16(24).U64(size).U64(size).U64(at);
  };
  local(head, "a/data/big");
  const uint64_t second = head.size() + static_cast<uint64_t>(bytes);
  local(tail, "a/data.pkl");
  tail.Text(pickle);
  const uint64_t directory = second + tail.size();
  central(tail, "a/data/big", static_cast<uint64_t>(bytes), 0);
  central(tail, "a/data.pkl", pickle.size(), second);
  const uint64_t end = second + tail.size();
  tail.U32(0x06064b50).U64(44).Zeros(12).U64(2).U64(2).U64(end - directory).U64(directory);
  tail.U32(0x07064b50).U32(0).U64(end).U32(1);
  tail.U32(0x06054b50).U32(0).U16(0xFFFF).U16(0xFFFF).U32(0xFFFFFFFF).U32(0xFFFFFFFF).U16(0);

  const testing::TempFolder folder("large_torch_file");
  const auto path = folder.path() / "large.pt";
  std::ofstream(path, std::ios::binary) << head.str();
  std::filesystem::resize_file(path, second);
  std::ofstream(path, std::ios::binary | std::ios::app) << tail.str();
  const auto file = OpenTorch(path);
  const Tensor view = TorchTensors(file).View("x");
  EXPECT_EQ(view.numel(), elements);
  EXPECT_EQ(view.data_ptr(), file->mapping()->bytes().data() + head.size());
  EXPECT_EQ(view[-1].item<float>(), 0);
}

}  // namespace
}  // namespace gas
