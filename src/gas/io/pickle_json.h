// Plain data of a pickle as JSON: what configurations are made of.
#ifndef GAS_IO_PICKLE_JSON_H_
#define GAS_IO_PICKLE_JSON_H_

#include <string_view>

#include <nlohmann/json.hpp>

#include "gas/io/torch_file.h"

namespace gas {

// None, numbers and texts (of Python or numpy), tuples, lists, sets, and dictionaries with texts as keys.
// What else stands in the pickle becomes the text "<NAME OF ITS CLASS>". Throws Error(kBadFile), with `what`
// in its message, for keys of other kinds, text that is not UTF-8, and more than 10,000 values.
nlohmann::json PlainJson(const TorchFile& file, const PickleValue& value, std::string_view what);

}  // namespace gas

#endif  // GAS_IO_PICKLE_JSON_H_
