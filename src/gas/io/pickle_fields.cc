#include "gas/io/pickle_fields.h"

#include "gas/core/error.h"
#include "gas/io/layout.h"

namespace gas {

std::string PlaceOf(std::string_view name, const PickleValue& value) {
  return std::string(name) + " @" + std::to_string(value.offset);
}

bool IsCallOf(const PickleValue& value, std::string_view constructor) {
  const auto* object = value.If<PickleObject>();
  if (object == nullptr) return false;
  const std::string &module = object->constructor->module, &name = object->constructor->name;
  return constructor.size() == module.size() + 1 + name.size() && constructor.starts_with(module) &&
         constructor[module.size()] == '.' && constructor.ends_with(name);
}

const std::vector<PickleRef>& ItemsOf(std::string_view name, const PickleValue& value, size_t least,
                                      std::string_view what) {
  const auto* sequence = value.If<PickleSequence>();
  GAS_CHECK(sequence != nullptr && sequence->items.size() >= least, Errc::kBadFile, PlaceOf(name, value),
            ": ", what, " is not a tuple of ", least, " values or more");
  return sequence->items;
}

const std::vector<PickleRef>& ArgumentsOf(std::string_view name, const PickleObject& call, size_t least) {
  return ItemsOf(name, *call.args, least, "the arguments of " + call.constructor->FullName());
}

int64_t IntegerOf(std::string_view name, const PickleValue& value, std::string_view what) {
  const auto* number = value.If<int64_t>();
  GAS_CHECK(number != nullptr, Errc::kBadFile, PlaceOf(name, value), ": ", what,
            " is not an integer of at most 64 bits");
  return *number;
}

const std::string& TextOf(std::string_view name, const PickleValue& value, std::string_view what) {
  const auto* text = value.If<std::string>();
  GAS_CHECK(text != nullptr, Errc::kBadFile, PlaceOf(name, value), ": ", what, " is not a text");
  return *text;
}

std::vector<int64_t> IntegersOf(std::string_view name, const PickleValue& value, std::string_view what) {
  std::vector<int64_t> numbers;
  const auto& items = ItemsOf(name, value, 0, what);
  GAS_CHECK(items.size() <= kMaxRank, Errc::kBadFile, PlaceOf(name, value), ": ", what, " is ", items.size(),
            " numbers, at most ", kMaxRank);
  for (const PickleRef item : items) numbers.push_back(IntegerOf(name, *item, what));
  return numbers;
}

PickleRef ValueOf(const PickleDict& dict, std::string_view key) {
  for (const auto& [name, value] : dict.items) {
    const auto* text = name->If<std::string>();
    if (text != nullptr && *text == key) return value;
  }
  return nullptr;
}

}  // namespace gas
