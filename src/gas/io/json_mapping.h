// The entries of configurations that were written for other programs, as trees of mappings. Errors name an
// entry by its path, "FILE: model.params.unet_config".
#ifndef GAS_IO_JSON_MAPPING_H_
#define GAS_IO_JSON_MAPPING_H_

#include <span>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "gas/core/error.h"
#include "gas/io/json.h"

namespace gas {

// The entry at `key`. Throws Error(kBadFile) if `parent`, whose path is `what`, has none.
const nlohmann::json& EntryAt(const std::string& what, const nlohmann::json& parent, const char* key);

// The mapping at `key`. Throws Error(kBadFile) if `parent`, whose path is `what`, has none.
const nlohmann::json& MappingAt(const std::string& what, const nlohmann::json& parent, const char* key);

// Reads a key that may be missing or null, where the field stays as it is. Throws Error(kBadFile) for a value
// of another kind than the field's.
template <class Field>
void ReadOptional(const std::string& what, const nlohmann::json& object, const char* key, Field& field) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return;
  ReadField(what + "." + key, *found, field);
}

// The same for a key that must be there.
template <class Field>
void ReadNeeded(const std::string& what, const nlohmann::json& object, const char* key, Field& field) {
  ReadField(what + "." + key, EntryAt(what, object, key), field);
}

// Refuses, by Error(kBadFile), other values of these keys, wherever the configuration has them: those of a
// network that is made in one variant alone.
void CheckFixed(const std::string& what, const nlohmann::json& object,
                std::span<const std::pair<const char*, nlohmann::json>> fixed);

}  // namespace gas

#endif  // GAS_IO_JSON_MAPPING_H_
