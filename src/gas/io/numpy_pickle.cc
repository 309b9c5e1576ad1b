#include "gas/io/numpy_pickle.h"

#include <algorithm>

#include "gas/core/error.h"
#include "gas/io/json.h"
#include "gas/io/layout.h"
#include "gas/io/numpy_dtype.h"
#include "gas/io/pickle_fields.h"
#include "gas/io/pickle_text.h"

namespace gas {
namespace {

// Such as f4 and U12.
constexpr size_t kMaxCodeBytes = 24;

// numpy 2 has moved its modules.
bool IsNumpyCall(const PickleValue& value, std::string_view function) {
  for (const std::string_view package : {"numpy.core.", "numpy._core."}) {
    if (IsCallOf(value, std::string(package) + std::string(function))) return true;
  }
  return false;
}

// The type string "<f4" of numpy.dtype("f4"), whose state (version, byte order, subdtype, names, fields, ...)
// has the byte order.
std::string DescrOf(std::string_view name, const PickleValue& dtype) {
  GAS_CHECK(IsCallOf(dtype, "numpy.dtype"), Errc::kBadFile, PlaceOf(name, dtype), ": not a numpy dtype");
  const auto& object = *dtype.If<PickleObject>();
  const std::string& code = TextOf(name, *ArgumentsOf(name, object, 1)[0], "the code of a numpy dtype");
  GAS_CHECK(code.size() <= kMaxCodeBytes, Errc::kBadFile, PlaceOf(name, dtype), ": a numpy dtype's code of ",
            code.size(), " bytes, at most ", kMaxCodeBytes);
  if (object.state == nullptr) return "|" + code;
  const auto& state = ItemsOf(name, *object.state, 5, "the state of a numpy dtype");
  for (const size_t i : {2, 3, 4}) {
    GAS_CHECK(state[i]->If<PickleNone>() != nullptr, Errc::kBadFile, PlaceOf(name, dtype),
              ": a numpy dtype of records; only numbers are read");
  }
  return TextOf(name, *state[1], "the byte order of a numpy dtype") + code;
}

torch::ScalarType NumberTypeOf(std::string_view name, const PickleValue& dtype) {
  const std::string descr = DescrOf(name, dtype);
  const auto type = DtypeOfNumpyDescr(descr);
  GAS_CHECK(type, Errc::kBadFile, PlaceOf(name, dtype), ": element type ", Quoted(descr), ", must be ",
            kNumpyDescrsRead);
  return *type;
}

// Python 2 has no other bytes than texts.
std::span<const char> RawBytesOf(std::string_view name, const PickleValue& value) {
  if (const auto* bytes = value.If<PickleBytes>()) return bytes->bytes;
  return TextOf(name, value, "the content of a numpy array");
}

StridedTensor MakeArray(std::string_view name, const PickleValue& shape, const PickleValue& dtype,
                        bool column_major, const PickleValue& data) {
  StridedTensor array{.dtype = NumberTypeOf(name, dtype),
                      .shape = IntegersOf(name, shape, "the shape of a numpy array"),
                      .strides = {},
                      .storage = RawBytesOf(name, data)};
  const std::string where = PlaceOf(name, data) + ": a numpy array";
  const auto size = ByteSize(array.shape, torch::elementSize(array.dtype));
  GAS_CHECK(size && *size == array.storage.size(), Errc::kBadFile, where, " of shape ",
            at::IntArrayRef(array.shape), " and ", torch::elementSize(array.dtype), " bytes each has ",
            array.storage.size(), " bytes");
  if (column_major) {
    const std::vector<int64_t> reversed(array.shape.rbegin(), array.shape.rend());
    array.strides = RowMajorStrides(reversed);
    std::reverse(array.strides.begin(), array.strides.end());
  } else {
    array.strides = RowMajorStrides(array.shape);
  }
  return array;
}

// The text of UCS-4 characters, of which numpy leaves out zeros at the end.
std::string TextOfUcs4(std::string_view where, std::span<const char> bytes) {
  GAS_CHECK(bytes.size() % 4 == 0, Errc::kBadFile, where, ": a text of ", bytes.size(),
            " bytes, four belong to a character");
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 4) {
    const auto code_point = LoadLittleEndian<uint32_t>(bytes.data() + i);
    GAS_CHECK(code_point <= 0x10FFFF, Errc::kBadFile, where, ": character ", i / 4, " is ", code_point,
              ", at most ", 0x10FFFF);
    AppendUtf8(code_point, text);
  }
  text.erase(text.find_last_not_of('\0') + 1);
  return text;
}

PickleScalar NumberOfBytes(std::string_view where, torch::ScalarType type, std::span<const char> bytes) {
  const StridedTensor one{.dtype = type, .shape = {}, .strides = {}, .storage = bytes};
  CheckInside(where, one);
  Tensor number = torch::empty({}, type);
  std::copy_n(bytes.data(), torch::elementSize(type), static_cast<char*>(number.data_ptr()));
  CheckBooleans(number, where);
  if (type == torch::kBool) return number.item<bool>();
  if (torch::isIntegralType(type, /*includeBool=*/false)) return number.item<int64_t>();
  return number.to(torch::kFloat64).item<double>();
}

}  // namespace

std::optional<StridedTensor> NumpyArray(std::string_view name, const PickleValue& value) {
  if (IsNumpyCall(value, "multiarray._reconstruct")) {
    const auto& object = *value.If<PickleObject>();
    GAS_CHECK(object.state != nullptr, Errc::kBadFile, PlaceOf(name, value),
              ": a numpy array without content");
    // Version, shape, dtype, whether the first index runs fastest, content.
    const auto& state = ItemsOf(name, *object.state, 5, "the state of a numpy array");
    const bool* column_major = state[3]->If<bool>();
    GAS_CHECK(column_major != nullptr, Errc::kBadFile, PlaceOf(name, *state[3]),
              ": the order of a numpy array is not a bool");
    return MakeArray(name, *state[1], *state[2], *column_major, *state[4]);
  }
  if (IsNumpyCall(value, "numeric._frombuffer")) {
    const auto& args = ArgumentsOf(name, *value.If<PickleObject>(), 4);
    const std::string& order = TextOf(name, *args[3], "the order of a numpy array");
    return MakeArray(name, *args[2], *args[1], order == "F", *args[0]);
  }
  return std::nullopt;
}

std::optional<PickleScalar> NumpyScalar(std::string_view name, const PickleValue& value) {
  if (!IsNumpyCall(value, "multiarray.scalar")) return std::nullopt;
  const auto& args = ArgumentsOf(name, *value.If<PickleObject>(), 2);
  const std::span<const char> bytes = RawBytesOf(name, *args[1]);
  const std::string where = PlaceOf(name, value) + ": a numpy scalar";
  if (DescrOf(name, *args[0]).starts_with("<U")) return TextOfUcs4(where, bytes);
  return NumberOfBytes(where, NumberTypeOf(name, *args[0]), bytes);
}

}  // namespace gas
