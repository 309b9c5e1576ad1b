// Small valid files of each format, from which damaged ones are made.
#ifndef GAS_TESTS_IO_VALID_FILES_H_
#define GAS_TESTS_IO_VALID_FILES_H_

#include <string>
#include <vector>

#include "io/helpers.h"
#include "io/pickle_bytes.h"

namespace gas::testing {

inline std::vector<std::string> ValidSafetensors() {
  const std::string header =
      R"({"__metadata__":{"format":"pt"},"x":{"dtype":"F32","shape":[2,3],)"
      R"("data_offsets":[0,24]},"b":{"dtype":"BOOL","shape":[4],"data_offsets":[24,28]}})";
  return {SafetensorsFile(header, std::string(28, '\0')), SafetensorsFile("{}")};
}

inline std::vector<std::string> ValidIdx() {
  const Builder file = Builder().U16(0).U8(0x0D).U8(2).BigU32(4).BigU32(5).Zeros(80);
  return {file.str(), Deflate(file.str(), Wrap::kGzip)};
}

inline std::vector<std::string> ValidNpy() {
  return {Npy(NpyHeader("<f4", "(2, 3)"), std::string(24, '\1')),
          Npy(NpyHeader("|b1", "(4,)", /*fortran_order=*/true), std::string(4, '\1'))};
}

inline std::vector<std::string> ValidNpz() {
  const std::string array = ValidNpy().front();
  return {Zip({{.name = "a.npy", .content = array}, {.name = "b.npy", .content = array}}),
          Zip({{.name = "a.npy", .content = array, .deflated = true, .zip64 = true}})};
}

inline std::vector<std::string> ValidPng() {
  const std::string row("\0\1\2\3\4\5\6", 7);
  const std::string palette = PngChunk("PLTE", "abcdef") + PngChunk("tRNS", "\x10");
  return {Png({.width = 2, .height = 2, .color = 2}, row + row), Png({.width = 3, .depth = 16}, row),
          Png({.width = 2, .color = 3}, std::string("\0\1\0", 3), palette),
          Png({.width = 2, .height = 2, .interlace = 1}, std::string("\0\1\0\2\0\3\4", 7))};
}

inline std::vector<std::string> ValidPickles() {
  using namespace std::string_literals;
  return {
      "\x80\x02}q\0(X\1\0\0\0aK\1X\1\0\0\0b]q\1(\x8a\2\0\1G?\xf0\0\0\0\0\0\0N\x88"
      "eu."s,
      "\x80\x04\x95\x1e\0\0\0\0\0\0\0\x8c\x0b"
      "collections\x8c\x0bOrderedDict\x93)R."s,
      "(dp0\nS'a\\n'\nV\\u00e9\np1\nsI01\n(F0.5\nL7L\nlp2\ns."s,
      WholePickle(PickledDict({{"x", PickledTensor().str()}}))};
}

inline std::vector<std::string> ValidTorchFiles() {
  const PickledTensor tensor;
  const std::string numbers(24, '\1');
  const std::string value = PickledDict({{"x", tensor.str()}, {"step", "K\1"}});
  const std::string storage = NestedStorage(TorchStream(tensor.Storage(), {{"0", numbers}}));
  return {TorchZip(value, {{"0", numbers}}), TorchStream(value, {{"0", numbers}}),
          WholePickle(PickledDict({{"x", tensor.OfStorage(storage)}}))};
}

}  // namespace gas::testing

#endif  // GAS_TESTS_IO_VALID_FILES_H_
