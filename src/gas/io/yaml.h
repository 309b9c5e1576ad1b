// YAML from outside, as JSON, so that one set of readers serves both (io/json.h).
#ifndef GAS_IO_YAML_H_
#define GAS_IO_YAML_H_

#include <cstdint>
#include <filesystem>
#include <string_view>

#include <nlohmann/json.hpp>

namespace gas {

struct YamlLimits {
  int depth = 64;  // lists and mappings inside one another
  uint64_t bytes = uint64_t{1} << 20;
  // Values after every alias has been replaced by what it stands for: a short text can ask for any number.
  uint64_t values = uint64_t{1} << 16;
};

// One document of YAML 1.2's core schema, which is what OmegaConf makes of CompVis's files: true, false, null
// and
// ~; decimal and 0x whole numbers; 1e-4 and 1.0e-06. What YAML 1.1 reads otherwise stays a text, so that no
// reader of numbers or truth values takes it for either: yes, on, 010, 1_000, .inf. Keys are texts as they
// are written. Throws Error(kBadFile), "NAME: ... at line L", for what is not YAML or not UTF-8, is beyond
// the limits, for a key that stands twice in a mapping, for keys that are no scalars, merge keys, tags of
// other types than these, numbers beyond double, and anything but one document. Nothing of the text is in the
// message but a key or the parser's own words.
nlohmann::json ParseYaml(std::string_view name, std::string_view text, const YamlLimits& limits = {});

// The same of a file. Throws Error(kBadFile) as ReadFile does too.
nlohmann::json ReadYaml(const std::filesystem::path& path, const YamlLimits& limits = {});

}  // namespace gas

#endif  // GAS_IO_YAML_H_
