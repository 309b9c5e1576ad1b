#include "gas/io/pickle_builder.h"

#include <algorithm>

#include "gas/io/json.h"
#include "gas/io/pickle_text.h"

namespace gas {
namespace {

// Python 2's names of these modules stand in pickles of the protocols 0 to 2, whoever wrote them.
std::string_view ModernModule(std::string_view module) {
  if (module == "__builtin__") return "builtins";
  if (module == "copy_reg") return "copyreg";
  return module;
}

bool Is(const PickleGlobal& global, std::string_view module, std::string_view name) {
  return ModernModule(global.module) == module && global.name == name;
}

}  // namespace

PickleBuilder::PickleBuilder(std::string_view name, uint64_t size, const PickleOptions& options)
    : name_(name), options_(options), text_left_(size + kPickleTextAllowance) {}

void PickleBuilder::BeginStep(uint64_t offset) {
  offset_ = offset;
  SpendSteps(1);
}

void PickleBuilder::SpendSteps(uint64_t count) {
  if (count > kMaxPickleSteps - steps_) Refuse("more than ", kMaxPickleSteps, " steps");
  steps_ += count;
}

void PickleBuilder::SpendText(uint64_t bytes) {
  if (bytes > text_left_)
    Refuse("its texts repeat each other to more than ", kPickleTextAllowance, " bytes beyond its own size");
  text_left_ -= bytes;
}

PickleValue* PickleBuilder::NewText(std::string text) {
  SpendText(text.size());
  return New(std::move(text));
}

PickleValue* PickleBuilder::NewDecodedBytes(std::string bytes) {
  SpendText(bytes.size());
  pickle_.decoded.push_back(std::move(bytes));
  return New(PickleBytes{.bytes = pickle_.decoded.back()});
}

PickleValue* PickleBuilder::NewGlobal(std::string_view module, std::string_view name) {
  SpendText(module.size() + name.size());
  return New(PickleGlobal{.module = std::string(module), .name = std::string(name)});
}

const PickleGlobal& PickleBuilder::GlobalFor(PickleRef callable) const {
  const auto* global = callable->If<PickleGlobal>();
  if (global == nullptr) Refuse("a call of something that is not the name of a function or class");
  return *global;
}

PickleValue* PickleBuilder::Call(PickleRef callable, PickleRef args) {
  const PickleGlobal& global = GlobalFor(callable);
  const auto* tuple = args->If<PickleSequence>();
  if (tuple == nullptr || tuple->kind != PickleSequence::Kind::kTuple) {
    Refuse("a call of ", Quoted(global.FullName()), " with arguments that are not a tuple");
  }
  if (PickleValue* made = CallBuiltin(global, *tuple)) return made;
  const std::string full = global.FullName();
  const auto& known = options_.constructors;
  if (std::find(known.begin(), known.end(), full) == known.end()) {
    Refuse("it calls ", Quoted(full), ", which is not among the constructors that are read");
  }
  return New(PickleObject{.constructor = &global, .args = args});
}

PickleValue* PickleBuilder::NewObject(PickleRef cls, PickleRef args) {
  return UnknownObject(GlobalFor(cls), args);
}

PickleValue* PickleBuilder::UnknownObject(const PickleGlobal& cls, PickleRef args) {
  if (options_.unknown_classes == UnknownClasses::kRefuse) {
    Refuse("an object of the class ", Quoted(cls.FullName()), ", which is not among those that are read");
  }
  return New(PickleObject{.constructor = &cls, .args = args});
}

PickleValue* PickleBuilder::CallBuiltin(const PickleGlobal& callable, const PickleSequence& args) {
  if (Is(callable, "collections", "OrderedDict")) return OrderedDict(args);
  // Its argument makes what a missing key stands for, which no reader asks.
  if (Is(callable, "collections", "defaultdict")) return New(PickleDict{});
  if (Is(callable, "builtins", "set") || Is(callable, "builtins", "frozenset")) return Set(args);
  if (Is(callable, "builtins", "bytearray")) return ByteArray(args);
  if (Is(callable, "_codecs", "encode")) return Encode(args);
  if (Is(callable, "copyreg", "_reconstructor")) return Reconstruct(args);
  return nullptr;
}

const PickleSequence& PickleBuilder::SequenceFor(const PickleSequence& args, const char* callable) const {
  const PickleSequence* items = args.items.size() == 1 ? args.items[0]->If<PickleSequence>() : nullptr;
  if (items == nullptr) Refuse(callable, " of something that is not one list");
  return *items;
}

// Of nothing, or of a list of pairs, as Python 2 writes it.
PickleValue* PickleBuilder::OrderedDict(const PickleSequence& args) {
  PickleDict dict;
  if (args.items.empty()) return New(std::move(dict));
  const PickleSequence& pairs = SequenceFor(args, "OrderedDict");
  SpendSteps(pairs.items.size());
  for (const PickleRef pair : pairs.items) {
    const auto* both = pair->If<PickleSequence>();
    if (both == nullptr || both->items.size() != 2) Refuse("OrderedDict of something that is not pairs");
    dict.items.emplace_back(both->items[0], both->items[1]);
  }
  return New(std::move(dict));
}

PickleValue* PickleBuilder::Set(const PickleSequence& args) {
  PickleSequence set{.kind = PickleSequence::Kind::kSet, .items = {}};
  if (args.items.empty()) return New(std::move(set));
  const PickleSequence& items = SequenceFor(args, "set");
  SpendSteps(items.items.size());
  set.items = items.items;
  return New(std::move(set));
}

// Of a text and the name of latin1: how protocols below 3 hold bytes.
PickleValue* PickleBuilder::Encode(const PickleSequence& args) {
  const std::string* text = args.items.size() == 2 ? args.items[0]->If<std::string>() : nullptr;
  const std::string* encoding = args.items.size() == 2 ? args.items[1]->If<std::string>() : nullptr;
  if (text == nullptr || encoding == nullptr) Refuse("_codecs.encode of something other than two texts");
  if (*encoding != "latin1" && *encoding != "latin-1") {
    Refuse("_codecs.encode to ", Quoted(*encoding), ", only latin1 is read");
  }
  auto bytes = Latin1OfUtf8(*text);
  if (!bytes) Refuse("_codecs.encode of a text with characters that latin1 does not have");
  return NewDecodedBytes(*std::move(bytes));
}

PickleValue* PickleBuilder::ByteArray(const PickleSequence& args) {
  if (args.items.empty()) return New(PickleBytes{});
  if (args.items.size() == 2) return Encode(args);
  const auto* bytes = args.items.size() == 1 ? args.items[0]->If<PickleBytes>() : nullptr;
  if (bytes == nullptr) Refuse("bytearray of something that is not bytes");
  return New(*bytes);
}

// Of class, base and state: how the protocols 0 and 1 hold objects. Only those of base object have their
// state elsewhere.
PickleValue* PickleBuilder::Reconstruct(const PickleSequence& args) {
  const bool three = args.items.size() == 3;
  const auto* base = three ? args.items[1]->If<PickleGlobal>() : nullptr;
  if (base == nullptr || !Is(*base, "builtins", "object") || args.items[2]->If<PickleNone>() == nullptr) {
    Refuse("copyreg._reconstructor of something that is not a plain object");
  }
  return UnknownObject(GlobalFor(args.items[0]), New(PickleSequence{}));
}

void PickleBuilder::Append(PickleValue* to, std::span<PickleValue* const> items) {
  if (auto* sequence = std::get_if<PickleSequence>(&to->content)) {
    if (sequence->kind != PickleSequence::Kind::kList) Refuse("it appends to something that is not a list");
    sequence->items.insert(sequence->items.end(), items.begin(), items.end());
  } else if (auto* object = std::get_if<PickleObject>(&to->content)) {
    object->items.insert(object->items.end(), items.begin(), items.end());
  } else {
    Refuse("it appends to something that is not a list");
  }
}

void PickleBuilder::AddToSet(PickleValue* to, std::span<PickleValue* const> items) {
  auto* set = std::get_if<PickleSequence>(&to->content);
  if (set == nullptr || set->kind != PickleSequence::Kind::kSet)
    Refuse("it adds to something that is not a set");
  set->items.insert(set->items.end(), items.begin(), items.end());
}

void PickleBuilder::SetItems(PickleValue* to, std::span<PickleValue* const> items) {
  if (items.size() % 2 != 0) Refuse("a key without its value");
  auto* dict = std::get_if<PickleDict>(&to->content);
  auto* object = std::get_if<PickleObject>(&to->content);
  if (dict == nullptr && object == nullptr) Refuse("it sets items of something that is not a dictionary");
  auto& entries = dict != nullptr ? dict->items : object->entries;
  for (size_t i = 0; i < items.size(); i += 2) entries.emplace_back(items[i], items[i + 1]);
}

void PickleBuilder::Build(PickleValue* object, PickleRef state) {
  PickleRef* place = nullptr;
  if (auto* dict = std::get_if<PickleDict>(&object->content)) place = &dict->state;
  if (auto* other = std::get_if<PickleObject>(&object->content)) place = &other->state;
  if (place == nullptr) Refuse("it gives a state to something that has none");
  if (*place != nullptr) Refuse("it gives a state twice to one object");
  *place = state;
}

Pickle PickleBuilder::Finish(PickleRef root, uint64_t size) && {
  pickle_.root = root;
  pickle_.size = size;
  return std::move(pickle_);
}

}  // namespace gas
