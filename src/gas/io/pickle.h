// Python pickles, read as data: nothing that a pickle asks to be called is called. Opcodes of the protocols 0
// to 5 as CPython's Lib/pickletools.py documents them.
#ifndef GAS_IO_PICKLE_H_
#define GAS_IO_PICKLE_H_

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace gas {

struct PickleValue;
// Owned by the Pickle that it came with. A value may stand in several places of the tree, but never in
// itself.
using PickleRef = const PickleValue*;

struct PickleNone {};

// An integer of more than 64 bits.
struct PickleBigInt {
  std::span<const char> little_endian;  // two's complement
};

struct PickleBytes {
  std::span<const char> bytes;  // in the pickle, where they lie as they are; else in the Pickle's `decoded`
};

// A tuple, list, set or frozenset.
struct PickleSequence {
  enum class Kind { kTuple, kList, kSet };
  Kind kind = Kind::kTuple;
  std::vector<PickleRef> items;
};

// A dict, OrderedDict or defaultdict. No two keys are equal strings or equal integers.
struct PickleDict {
  std::vector<std::pair<PickleRef, PickleRef>> items;  // in their order
  PickleRef state = nullptr;  // what BUILD gave, such as an OrderedDict's attributes; null if nothing
};

// The name of something in a Python module. Naming it does nothing.
struct PickleGlobal {
  std::string module, name;

  std::string FullName() const { return module + "." + name; }
};

// What Python would make by a call: the call is kept, not made.
struct PickleObject {
  const PickleGlobal* constructor = nullptr;
  PickleRef args = nullptr;                              // a tuple
  PickleRef state = nullptr;                             // what BUILD gave; null if nothing
  std::vector<PickleRef> items;                          // what was appended, to a subclass of list
  std::vector<std::pair<PickleRef, PickleRef>> entries;  // what was set, to a subclass of dict
};

// Names something outside of the pickle.
struct PicklePersistentId {
  PickleRef id = nullptr;
};

// A str of Python 3 is UTF-8; one of Python 2 has its bytes.
struct PickleValue {
  std::variant<PickleNone, bool, int64_t, PickleBigInt, double, std::string, PickleBytes, PickleSequence,
               PickleDict, PickleGlobal, PickleObject, PicklePersistentId>
      content;
  uint64_t offset = 0;  // of its opcode in the pickle, for messages
  uint32_t number = 0;  // among the pickle's values

  template <class T>
  const T* If() const {
    return std::get_if<T>(&content);
  }
};

struct Pickle {
  std::deque<PickleValue> values;
  std::deque<std::string> decoded;
  PickleRef root = nullptr;
  uint64_t size = 0;  // bytes up to and with its STOP
};

// Objects of classes that this program does not know: refused, or kept as PickleObject.
enum class UnknownClasses { kRefuse, kKeep };

struct PickleOptions {
  // Full names of what may be called, beside OrderedDict, defaultdict, set, frozenset, bytearray,
  // _codecs.encode of latin1, and copyreg._reconstructor of a plain object: calls become PickleObject.
  std::span<const std::string_view> constructors;
  UnknownClasses unknown_classes = UnknownClasses::kRefuse;
};

// The limits hold for every pickle. The largest published checkpoints stay a factor of ten below each.
inline constexpr uint64_t kMaxPickleValues = uint64_t{2} << 20;
inline constexpr uint64_t kMaxPickleSteps = uint64_t{8} << 20;  // opcodes, and items that a call copies
inline constexpr size_t kMaxPickleDepth = 200;                  // of values in values
inline constexpr size_t kMaxPickleKeyBytes = 4096;              // of a key that is a string
// Strings, names and decoded bytes may take this much, and once the size of the pickle.
inline constexpr uint64_t kPickleTextAllowance = uint64_t{16} << 20;

// The pickle that `bytes` begins with; `bytes` must outlive it. Throws Error(kBadFile), naming `name` and the
// offset, for what is damaged or beyond a limit, for values that contain themselves, for equal keys, for
// extension codes and out-of-band buffers, and for every call that the options do not allow, with the name of
// what would be called.
Pickle ParsePickle(std::string_view name, std::span<const char> bytes, const PickleOptions& options);

}  // namespace gas

#endif  // GAS_IO_PICKLE_H_
