// Makes the values of a pickle, within its limits, and what its calls stand for.
#ifndef GAS_IO_PICKLE_BUILDER_H_
#define GAS_IO_PICKLE_BUILDER_H_

#include <string>
#include <string_view>

#include "gas/core/error.h"
#include "gas/io/pickle.h"

namespace gas {

class PickleBuilder {
 public:
  // `name` begins each message; `size` is of the bytes that the pickle is read from.
  PickleBuilder(std::string_view name, uint64_t size, const PickleOptions& options);

  // The offset of the opcode at work, which new values get and messages name. Throws if it is one too many.
  void BeginStep(uint64_t offset);

  template <class T>
  PickleValue* New(T content) {
    if (pickle_.values.size() == kMaxPickleValues) Refuse("more than ", kMaxPickleValues, " values");
    const auto number = static_cast<uint32_t>(pickle_.values.size());
    pickle_.values.push_back({.content = std::move(content), .offset = offset_, .number = number});
    return &pickle_.values.back();
  }
  PickleValue* NewText(std::string text);
  // Bytes that do not lie in the pickle as they are.
  PickleValue* NewDecodedBytes(std::string bytes);
  PickleValue* NewGlobal(std::string_view module, std::string_view name);

  // The value of `callable(*args)`.
  PickleValue* Call(PickleRef callable, PickleRef args);
  // The value of `cls.__new__(cls, *args)`.
  PickleValue* NewObject(PickleRef cls, PickleRef args);

  void Append(PickleValue* to, std::span<PickleValue* const> items);
  void AddToSet(PickleValue* to, std::span<PickleValue* const> items);
  // Key, value, key, ...
  void SetItems(PickleValue* to, std::span<PickleValue* const> items);
  void Build(PickleValue* object, PickleRef state);

  template <class... Parts>
  [[noreturn]] void Refuse(const Parts&... parts) const {
    Fail(Errc::kBadFile, name_, " @", offset_, ": ", parts...);
  }

  // The finished pickle, of which `size` bytes were read.
  Pickle Finish(PickleRef root, uint64_t size) &&;

 private:
  const PickleGlobal& GlobalFor(PickleRef callable) const;
  // A call of Python's own that only makes data; null for any other.
  PickleValue* CallBuiltin(const PickleGlobal& callable, const PickleSequence& args);
  PickleValue* OrderedDict(const PickleSequence& args);
  PickleValue* Set(const PickleSequence& args);
  PickleValue* Encode(const PickleSequence& args);
  PickleValue* ByteArray(const PickleSequence& args);
  PickleValue* Reconstruct(const PickleSequence& args);
  PickleValue* UnknownObject(const PickleGlobal& cls, PickleRef args);
  const PickleSequence& SequenceFor(const PickleSequence& args, const char* callable) const;
  void SpendSteps(uint64_t count);
  void SpendText(uint64_t bytes);

  std::string_view name_;
  PickleOptions options_;
  Pickle pickle_;
  uint64_t offset_ = 0;
  uint64_t steps_ = 0;
  uint64_t text_left_;
};

}  // namespace gas

#endif  // GAS_IO_PICKLE_BUILDER_H_
