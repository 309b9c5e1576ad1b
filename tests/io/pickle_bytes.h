// Pickles and PyTorch's files, byte by byte.
#ifndef GAS_TESTS_IO_PICKLE_BYTES_H_
#define GAS_TESTS_IO_PICKLE_BYTES_H_

#include <string>
#include <string_view>
#include <vector>

#include "io/helpers.h"

namespace gas::testing {

inline std::string PickledText(std::string_view text) {
  return Builder().Text("X").U32(static_cast<uint32_t>(text.size())).Text(text).str();
}

inline std::string PickledInteger(int64_t value) { return Builder().Text("\x8a\x08").Put(value).str(); }

inline std::string PickledTuple(const std::vector<int64_t>& values) {
  std::string items = "(";
  for (const int64_t value : values) items += PickledInteger(value);
  return items + "t";
}

struct PickledTensor {
  std::string type = "torch\nFloatStorage", key = "0";
  int64_t elements = 6, offset = 0;
  std::vector<int64_t> shape = {2, 3}, strides = {3, 1};

  std::string Storage() const {
    return "(" + PickledText("storage") + "c" + type + "\n" + PickledText(key) + PickledText("cuda:0") +
           PickledInteger(elements) + "tQ";
  }
  std::string OfStorage(const std::string& storage) const {
    return "ctorch._utils\n_rebuild_tensor_v2\n(" + storage + PickledInteger(offset) + PickledTuple(shape) +
           PickledTuple(strides) + "\x89" + "ccollections\nOrderedDict\n)RtR";
  }
  std::string str() const { return OfStorage(Storage()); }
};

// Name and value of each entry, which are pickled texts and values.
inline std::string PickledDict(const std::vector<std::pair<std::string, std::string>>& entries) {
  std::string dict = "}(";
  for (const auto& [key, value] : entries) dict += PickledText(key) + value;
  return dict + "u";
}

inline std::string WholePickle(std::string_view value) { return "\x80\x02" + std::string(value) + "."; }

struct NamedStorage {
  std::string key, content;
  int64_t element = 4;  // bytes
};

inline std::string TorchZip(std::string_view value, const std::vector<NamedStorage>& storages) {
  std::vector<ZipPart> parts = {{.name = "a/data.pkl", .content = WholePickle(value)},
                                {.name = "a/byteorder", .content = "little"},
                                {.name = "a/version", .content = "3\n"}};
  for (const NamedStorage& storage : storages) {
    parts.push_back({.name = "a/data/" + storage.key, .content = storage.content});
  }
  return Zip(parts);
}

inline std::string TorchStream(std::string_view value, const std::vector<NamedStorage>& storages) {
  std::string keys = "](", contents;
  for (const NamedStorage& storage : storages) {
    keys += PickledText(storage.key);
    const auto bytes = static_cast<int64_t>(storage.content.size());
    contents += Builder().Put(bytes / storage.element).Text(storage.content).str();
  }
  return std::string("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15) +
         WholePickle(std::string("M\xe9\x03", 3)) + WholePickle(PickledDict({{"little_endian", "\x88"}})) +
         WholePickle(value) + WholePickle(keys + "e") + contents;
}

// As a pickle without persistent ids holds a storage.
inline std::string NestedStorage(std::string_view stream) {
  return "ctorch.storage\n_load_from_bytes\n" +
         Builder().Text("B").U32(static_cast<uint32_t>(stream.size())).Text(stream).str() + "\x85R";
}

}  // namespace gas::testing

#endif  // GAS_TESTS_IO_PICKLE_BYTES_H_
