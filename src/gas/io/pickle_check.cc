#include "gas/io/pickle_check.h"

#include <algorithm>
#include <optional>

#include "gas/core/error.h"
#include "gas/io/json.h"

namespace gas {
namespace {

using Values = std::vector<PickleRef>;
using KeyedValues = std::vector<std::pair<PickleRef, PickleRef>>;

// The i-th of the values in `items`, then `entries` (key, value, key, ...), then `last`, of which any may be
// null; nothing behind the last one.
std::optional<PickleRef> ChildOf(const Values* items, const KeyedValues* entries,
                                 std::span<const PickleRef> last, size_t i) {
  if (items != nullptr) {
    if (i < items->size()) return (*items)[i];
    i -= items->size();
  }
  if (entries != nullptr) {
    if (i < 2 * entries->size()) {
      const auto& [key, value] = (*entries)[i / 2];
      return i % 2 == 0 ? key : value;
    }
    i -= 2 * entries->size();
  }
  return i < last.size() ? std::optional(last[i]) : std::nullopt;
}

std::optional<PickleRef> Child(const PickleValue& value, size_t i) {
  if (const auto* sequence = value.If<PickleSequence>()) return ChildOf(&sequence->items, nullptr, {}, i);
  if (const auto* dict = value.If<PickleDict>()) {
    const PickleRef last[] = {dict->state};
    return ChildOf(nullptr, &dict->items, last, i);
  }
  if (const auto* object = value.If<PickleObject>()) {
    const PickleRef last[] = {object->args, object->state};
    return ChildOf(&object->items, &object->entries, last, i);
  }
  if (const auto* persistent = value.If<PicklePersistentId>()) {
    const PickleRef last[] = {persistent->id};
    return ChildOf(nullptr, nullptr, last, i);
  }
  return std::nullopt;
}

// Of the keys that are strings or integers; equal keys of other kinds are told apart by nothing that reads
// them.
void RefuseEqualKeys(std::string_view name, const PickleDict& dict) {
  std::vector<std::string_view> texts;
  std::vector<int64_t> numbers;
  for (const auto& [key, value] : dict.items) {
    if (const auto* text = key->If<std::string>()) {
      GAS_CHECK(text->size() <= kMaxPickleKeyBytes, Errc::kBadFile, name, " @", key->offset,
                ": a dictionary's key of ", text->size(), " bytes, at most ", kMaxPickleKeyBytes,
                " are read");
      texts.push_back(*text);
    } else if (const auto* number = key->If<int64_t>()) {
      numbers.push_back(*number);
    } else {
      const auto* sequence = key->If<PickleSequence>();
      const bool fixed = sequence == nullptr || sequence->kind == PickleSequence::Kind::kTuple;
      GAS_CHECK(fixed && key->If<PickleDict>() == nullptr, Errc::kBadFile, name, " @", key->offset,
                ": a list, set or dictionary is the key of a dictionary");
    }
  }
  std::sort(texts.begin(), texts.end());
  const auto text = std::adjacent_find(texts.begin(), texts.end());
  GAS_CHECK(text == texts.end(), Errc::kBadFile, name, ": a dictionary has the key ", Quoted(*text),
            " twice");
  std::sort(numbers.begin(), numbers.end());
  const auto number = std::adjacent_find(numbers.begin(), numbers.end());
  GAS_CHECK(number == numbers.end(), Errc::kBadFile, name, ": a dictionary has the key ", *number, " twice");
}

// Depth first, with a stack of its own: a hostile file cannot use up the program's.
class TreeWalk {
 public:
  TreeWalk(std::string_view name, const Pickle& pickle) : name_(name), heights_(pickle.values.size(), kNew) {}

  void Visit(PickleRef root) {
    Enter(*root);
    while (!path_.empty()) {
      Place& place = path_.back();
      const std::optional<PickleRef> child = Child(*place.value, place.next++);
      if (!child) {
        Leave();
      } else if (*child != nullptr) {
        Follow(**child);
      }
    }
  }

 private:
  struct Place {
    PickleRef value;
    size_t next = 0;  // child
    size_t height = 1;
  };
  // Else 1 for a value without children, and one more than its highest child for any other.
  static constexpr uint8_t kNew = 0, kOnPath = 255;
  static_assert(kMaxPickleDepth < kOnPath);

  void Follow(const PickleValue& child) {
    const uint8_t height = heights_[child.number];
    GAS_CHECK(height != kOnPath, Errc::kBadFile, name_, " @", child.offset, ": a value that contains itself");
    if (height == kNew) {
      Enter(child);
    } else {
      RaiseTo(height + size_t{1}, child);
    }
  }

  void Enter(const PickleValue& value) {
    CheckDepth(path_.size() + 1, value);
    if (const auto* dict = value.If<PickleDict>()) RefuseEqualKeys(name_, *dict);
    heights_[value.number] = kOnPath;
    path_.push_back({.value = &value});
  }

  void Leave() {
    const Place done = path_.back();
    path_.pop_back();
    heights_[done.value->number] = static_cast<uint8_t>(done.height);
    if (!path_.empty()) RaiseTo(done.height + 1, *done.value);
  }

  void RaiseTo(size_t height, const PickleValue& child) {
    CheckDepth(path_.size() - 1 + height, child);
    path_.back().height = std::max(path_.back().height, height);
  }

  void CheckDepth(size_t depth, const PickleValue& value) const {
    GAS_CHECK(depth <= kMaxPickleDepth, Errc::kBadFile, name_, " @", value.offset,
              ": values nested more than ", kMaxPickleDepth, " deep");
  }

  std::string_view name_;
  std::vector<uint8_t> heights_;  // by the value's number
  std::vector<Place> path_;
};

}  // namespace

void CheckPickle(std::string_view name, const Pickle& pickle) { TreeWalk(name, pickle).Visit(pickle.root); }

}  // namespace gas
