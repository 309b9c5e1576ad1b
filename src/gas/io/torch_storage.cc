#include "gas/io/torch_storage.h"

#include <algorithm>

#include "gas/core/error.h"
#include "gas/io/json.h"
#include "gas/io/pickle_fields.h"

namespace gas {
namespace {

struct StorageType {
  std::string_view name;
  torch::ScalarType dtype;
};
constexpr StorageType kStorageTypes[] = {
    {"FloatStorage", torch::kFloat32},     {"HalfStorage", torch::kFloat16},
    {"BFloat16Storage", torch::kBFloat16}, {"DoubleStorage", torch::kFloat64},
    {"LongStorage", torch::kInt64},        {"IntStorage", torch::kInt32},
    {"ShortStorage", torch::kInt16},       {"CharStorage", torch::kInt8},
    {"ByteStorage", torch::kUInt8},        {"BoolStorage", torch::kBool}};

torch::ScalarType DtypeOfStorageType(std::string_view name, const PickleValue& type) {
  const auto* global = type.If<PickleGlobal>();
  GAS_CHECK(global != nullptr, Errc::kBadFile, PlaceOf(name, type), ": the type of a storage is not a name");
  for (const StorageType& known : kStorageTypes) {
    const bool in_torch = global->module == "torch" || global->module == "torch.cuda";
    if (in_torch && global->name == known.name) return known.dtype;
  }
  Fail(Errc::kBadFile, PlaceOf(name, type), ": a storage of the type ", Quoted(global->FullName()),
       ", which is not among those that are read");
}

// `count` elements of `element` bytes.
uint64_t BytesOf(std::string_view name, const PickleValue& count, size_t element) {
  uint64_t bytes = 0;
  const int64_t elements = IntegerOf(name, count, "the size of a storage");
  const bool fits =
      elements >= 0 && !__builtin_mul_overflow(static_cast<uint64_t>(elements), element, &bytes);
  GAS_CHECK(fits, Errc::kBadFile, PlaceOf(name, count), ": a storage of ", elements, " elements");
  return bytes;
}

}  // namespace

TorchStorageId ReadTorchStorageId(std::string_view name, const PicklePersistentId& persistent) {
  const auto& items = ItemsOf(name, *persistent.id, 5, "a persistent id");
  const std::string& kind = TextOf(name, *items[0], "the kind of a persistent id");
  GAS_CHECK(kind == "storage", Errc::kBadFile, PlaceOf(name, *items[0]), ": a persistent id of the kind ",
            Quoted(kind), ", only storages are read");
  TorchStorageId id;
  id.dtype = DtypeOfStorageType(name, *items[1]);
  id.key = TextOf(name, *items[2], "the key of a storage");
  GAS_CHECK(id.key.size() <= kMaxPickleKeyBytes, Errc::kBadFile, PlaceOf(name, *items[2]),
            ": the key of a storage of ", id.key.size(), " bytes, at most ", kMaxPickleKeyBytes, " are read");
  const size_t element = torch::elementSize(id.dtype);
  id.bytes = id.size = BytesOf(name, *items[4], element);
  if (items.size() > 5 && items[5]->If<PickleNone>() == nullptr) {
    // Key, offset and size of the view.
    const auto& view = ItemsOf(name, *items[5], 3, "the view of a storage");
    id.begin = BytesOf(name, *view[1], element);
    id.size = BytesOf(name, *view[2], element);
    GAS_CHECK(id.begin <= id.bytes && id.size <= id.bytes - id.begin, Errc::kBadFile,
              PlaceOf(name, *items[5]), ": the view of ", id.size, " bytes from ", id.begin,
              " lies beyond its storage of ", id.bytes);
  }
  return id;
}

TorchStorage FindTorchStorage(std::string_view name, const PicklePersistentId& persistent,
                              const TorchStorageBytes& storages) {
  const TorchStorageId id = ReadTorchStorageId(name, persistent);
  const auto found = storages.find(id.key);
  const std::string place = PlaceOf(name, *persistent.id);
  GAS_CHECK(found != storages.end(), Errc::kBadFile, place, ": the storage ", Quoted(id.key),
            " is not in the file");
  const std::span<const char> bytes = found->second;
  GAS_CHECK(id.bytes <= bytes.size(), Errc::kBadFile, place, ": the storage ", Quoted(id.key), " has ",
            bytes.size(), " bytes, must have ", id.bytes);
  return {.dtype = id.dtype, .bytes = bytes.subspan(id.begin, id.size)};
}

}  // namespace gas
