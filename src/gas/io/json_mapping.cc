#include "gas/io/json_mapping.h"

namespace gas {

using Json = nlohmann::json;

const Json& EntryAt(const std::string& what, const Json& parent, const char* key) {
  const auto found = parent.find(key);  // the end of what is no object
  GAS_CHECK(found != parent.end(), Errc::kBadFile, what, " has no ", key);
  return *found;
}

const Json& MappingAt(const std::string& what, const Json& parent, const char* key) {
  const auto found = parent.find(key);
  GAS_CHECK(found != parent.end() && found->is_object(), Errc::kBadFile, what, " has no mapping ", key);
  return *found;
}

void CheckFixed(const std::string& what, const Json& object,
                std::span<const std::pair<const char*, Json>> fixed) {
  for (const auto& [key, value] : fixed) {
    if (!object.contains(key)) continue;
    GAS_CHECK(object[key] == value, Errc::kBadFile, what, ".", key, " = ", Shown(object[key]), ", must be ",
              Shown(value));
  }
}

}  // namespace gas
