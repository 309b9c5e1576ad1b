#include "gas/io/torch_file.h"

#include <algorithm>

#include "gas/core/error.h"
#include "gas/io/json.h"
#include "gas/io/pickle_fields.h"
#include "gas/io/pickle_text.h"

namespace gas {
namespace {

constexpr std::string_view kNestedStorage = "torch.storage._load_from_bytes";
constexpr std::string_view kPersistentObject = "torch_utils.persistence._reconstruct_persistent_obj";
constexpr std::string_view kTensorCalls[] = {"torch._utils._rebuild_tensor",
                                             "torch._utils._rebuild_tensor_v2"};
constexpr std::string_view kParameterCalls[] = {"torch._utils._rebuild_parameter",
                                                "torch._utils._rebuild_parameter_with_state"};
constexpr size_t kMaxRecordEntries = 64;
constexpr std::string_view kSize = "torch.Size";
constexpr std::string_view kDevice = "torch.device";

std::vector<std::string_view> TorchConstructors() {
  std::vector<std::string_view> all = {kNestedStorage, kPersistentObject, kSize, kDevice};
  all.insert(all.end(), std::begin(kTensorCalls), std::end(kTensorCalls));
  all.insert(all.end(), std::begin(kParameterCalls), std::end(kParameterCalls));
  all.insert(all.end(), std::begin(kNumpyConstructors), std::end(kNumpyConstructors));
  return all;
}

bool IsOneOf(const PickleValue& value, std::span<const std::string_view> constructors) {
  return std::any_of(constructors.begin(), constructors.end(),
                     [&](std::string_view constructor) { return IsCallOf(value, constructor); });
}

// A torch.Size is a tuple with a name.
std::vector<int64_t> SizesOf(std::string_view name, const PickleValue& value, std::string_view what) {
  if (!IsCallOf(value, kSize)) return IntegersOf(name, value, what);
  return IntegersOf(name, *ArgumentsOf(name, *value.If<PickleObject>(), 1)[0], what);
}

PickleRef ValueOfKey(const PickleDict& dict, const std::string& key) {
  if (const PickleRef value = ValueOf(dict, key)) return value;
  const auto wanted = ParsePickleInteger(key);
  for (const auto& [name, value] : dict.items) {
    const auto* number = name->If<int64_t>();
    if (wanted && number != nullptr && *number == *wanted) return value;
  }
  return nullptr;
}

PickleRef ItemAt(const PickleSequence& sequence, const std::string& index) {
  const auto at = ParsePickleInteger(index);
  const bool inside = at && *at >= 0 && static_cast<uint64_t>(*at) < sequence.items.size();
  return inside ? sequence.items[static_cast<size_t>(*at)] : nullptr;
}

}  // namespace

TorchFile::TorchFile(const std::filesystem::path& path, UnknownClasses unknown_classes)
    : name_(path.string()), file_(std::make_shared<MappedFile>(path)) {
  const std::vector<std::string_view> constructors = TorchConstructors();
  content_ = ReadTorchContent(name_, file_->bytes(),
                              {.constructors = constructors, .unknown_classes = unknown_classes});
  ReadNestedStorages();
}

// Each stream once, however often the pickle names it. No stream holds another: nothing may be called in it.
void TorchFile::ReadNestedStorages() {
  for (const PickleValue& value : content_.pickle.values) {
    if (!IsCallOf(value, kNestedStorage)) continue;
    const PickleRef source = ArgumentsOf(content_.name, *value.If<PickleObject>(), 1)[0];
    if (nested_.contains(source)) continue;
    const auto* bytes = source->If<PickleBytes>();
    const std::string place = PlaceOf(content_.name, *source);
    GAS_CHECK(bytes != nullptr, Errc::kBadFile, place, ": a storage from something that is not bytes");
    const TorchContent stream = ReadTorchStream(place, bytes->bytes, {});
    const auto* id = stream.pickle.root->If<PicklePersistentId>();
    GAS_CHECK(id != nullptr, Errc::kBadFile, place, ": a nested file of something other than a storage");
    nested_.emplace(source, FindTorchStorage(stream.name, *id, stream.storages));
  }
}

TorchStorage TorchFile::StorageOf(const PickleValue& value) const {
  if (const auto* id = value.If<PicklePersistentId>()) {
    return FindTorchStorage(content_.name, *id, content_.storages);
  }
  GAS_CHECK(IsCallOf(value, kNestedStorage), Errc::kBadFile, PlaceOf(content_.name, value),
            ": a tensor of something that is not a storage");
  return nested_.at(ArgumentsOf(content_.name, *value.If<PickleObject>(), 1)[0]);
}

std::optional<StridedTensor> TorchFile::TensorOf(const PickleValue& value) const {
  if (IsOneOf(value, kParameterCalls)) {
    return TensorOf(*ArgumentsOf(content_.name, *value.If<PickleObject>(), 1)[0]);
  }
  auto tensor = NumpyArray(content_.name, value);
  if (!tensor) {
    if (!IsOneOf(value, kTensorCalls)) return std::nullopt;
    // Storage, offset, shape, strides, and what does not concern the values.
    const auto& args = ArgumentsOf(content_.name, *value.If<PickleObject>(), 4);
    const TorchStorage storage = StorageOf(*args[0]);
    tensor = StridedTensor{.dtype = storage.dtype,
                           .shape = SizesOf(content_.name, *args[2], "the shape of a tensor"),
                           .strides = SizesOf(content_.name, *args[3], "the strides of a tensor"),
                           .offset = IntegerOf(content_.name, *args[1], "the offset of a tensor"),
                           .storage = storage.bytes};
  }
  CheckInside(PlaceOf(content_.name, value) + ": a tensor", *tensor);
  return tensor;
}

std::optional<PickleScalar> TorchFile::ScalarOf(const PickleValue& value) const {
  if (const auto* number = value.If<bool>()) return *number;
  if (const auto* number = value.If<int64_t>()) return *number;
  if (const auto* number = value.If<double>()) return *number;
  if (const auto* text = value.If<std::string>()) return *text;
  return NumpyScalar(content_.name, value);
}

// The record of an object by EDM's persistence: type, version, module_src, class_name and state.
const PickleDict& TorchFile::RecordOf(const PickleObject& object) const {
  const PickleValue& value = *ArgumentsOf(content_.name, object, 1)[0];
  const auto* record = value.If<PickleDict>();
  GAS_CHECK(record != nullptr && record->items.size() <= kMaxRecordEntries, Errc::kBadFile,
            PlaceOf(content_.name, value), ": the record of an object is not a dictionary of at most ",
            kMaxRecordEntries, " entries");
  return *record;
}

const PickleDict* TorchFile::AttributesOf(const PickleValue& value) const {
  const auto* object = value.If<PickleObject>();
  if (object == nullptr) return nullptr;
  const PickleRef state =
      IsCallOf(value, kPersistentObject) ? ValueOf(RecordOf(*object), "state") : object->state;
  return state == nullptr ? nullptr : state->If<PickleDict>();
}

std::string TorchFile::ClassOf(const PickleValue& value) const {
  const auto* object = value.If<PickleObject>();
  if (object == nullptr) return "";
  if (!IsCallOf(value, kPersistentObject)) return object->constructor->FullName();
  const PickleRef name = ValueOf(RecordOf(*object), "class_name");
  GAS_CHECK(name != nullptr, Errc::kBadFile, PlaceOf(content_.name, value),
            ": an object without the name of its class");
  return TextOf(content_.name, *name, "the name of a class");
}

PickleRef TorchFile::Find(std::span<const std::string> path) const {
  PickleRef at = content_.pickle.root;
  for (const std::string& step : path) {
    if (at == nullptr) return nullptr;
    if (const auto* dict = at->If<PickleDict>()) {
      at = ValueOfKey(*dict, step);
    } else if (const auto* sequence = at->If<PickleSequence>()) {
      at = ItemAt(*sequence, step);
    } else {
      const PickleDict* attributes = AttributesOf(*at);
      at = attributes == nullptr ? nullptr : ValueOf(*attributes, step);
    }
  }
  return at;
}

}  // namespace gas
