// What stands in the values of a pickle, for the readers of particular kinds of it.
#ifndef GAS_IO_PICKLE_FIELDS_H_
#define GAS_IO_PICKLE_FIELDS_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gas/io/pickle.h"

namespace gas {

// "NAME @OFFSET", for messages.
std::string PlaceOf(std::string_view name, const PickleValue& value);

// Whether `value` is what a call of `constructor`, a full name, would make.
bool IsCallOf(const PickleValue& value, std::string_view constructor);

// Throws Error(kBadFile) unless `value` is a tuple or list of `least` items or more; `what` names it.
const std::vector<PickleRef>& ItemsOf(std::string_view name, const PickleValue& value, size_t least,
                                      std::string_view what);
// The arguments of a call, of which there must be `least` or more.
const std::vector<PickleRef>& ArgumentsOf(std::string_view name, const PickleObject& call, size_t least);

// Each throws Error(kBadFile) unless the value is of that kind; `what` names it.
int64_t IntegerOf(std::string_view name, const PickleValue& value, std::string_view what);
const std::string& TextOf(std::string_view name, const PickleValue& value, std::string_view what);
// One for each dimension: of kMaxRank numbers or fewer.
std::vector<int64_t> IntegersOf(std::string_view name, const PickleValue& value, std::string_view what);

// The value of a key that is this text; null if there is none.
PickleRef ValueOf(const PickleDict& dict, std::string_view key);

}  // namespace gas

#endif  // GAS_IO_PICKLE_FIELDS_H_
