// JSON with one thing wrong: what a reader of files has to name.
#ifndef GAS_TESTS_SUPPORT_JSON_CHANGES_H_
#define GAS_TESTS_SUPPORT_JSON_CHANGES_H_

#include <algorithm>
#include <cctype>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace gas::testing {

struct JsonChange {
  std::string what;  // "/tables/0/nfe = null"
  std::string key;   // "nfe"
  nlohmann::json json;
};

// Pointers to the entries of all objects in `json`, of lists in the first item alone.
inline std::vector<nlohmann::json::json_pointer> EntriesOf(
    const nlohmann::json& json, const nlohmann::json::json_pointer& at = nlohmann::json::json_pointer()) {
  std::vector<nlohmann::json::json_pointer> all;
  const auto add = [&](const nlohmann::json::json_pointer& inner) {
    const auto deeper = EntriesOf(json, inner);
    all.insert(all.end(), deeper.begin(), deeper.end());
  };
  const nlohmann::json& value = json.at(at);
  if (value.is_array() && !value.empty()) add(at / 0);
  if (value.is_object()) {
    for (const auto& [key, unused] : value.items()) {
      all.push_back(at / key);
      add(at / key);
    }
  }
  return all;
}

// Each entry as a value of each kind, and missing.
inline std::vector<JsonChange> KindChanges(const nlohmann::json& json) {
  using Json = nlohmann::json;
  std::vector<JsonChange> changes;
  for (const auto& entry : EntriesOf(json)) {
    const std::string key = entry.back();
    for (const Json& value : {Json(nullptr), Json(true), Json(4.7), Json("text"), Json(Json::array()),
                              Json(Json::array({"a"})), Json(Json::object())}) {
      JsonChange change{entry.to_string() + " = " + value.dump(), key, json};
      change.json[entry] = value;
      changes.push_back(std::move(change));
    }
    JsonChange missing{entry.to_string() + " is missing", key, json};
    missing.json[entry.parent_pointer()].erase(key);
    changes.push_back(std::move(missing));
  }
  return changes;
}

// A text that would clear a terminal, and fill it.
inline std::string HostileText() { return "\x1b[2J\x7f\xc2\x9b" + std::string(4000, 'q'); }

// Each entry that is a text as a hostile one.
inline std::vector<JsonChange> HostileChanges(const nlohmann::json& json) {
  std::vector<JsonChange> changes;
  for (const auto& entry : EntriesOf(json)) {
    if (!json.at(entry).is_string()) continue;
    JsonChange change{entry.to_string(), entry.back(), json};
    change.json[entry] = HostileText();
    changes.push_back(std::move(change));
  }
  return changes;
}

// Whether a message names a key, in whatever case.
inline bool Names(std::string message, std::string key) {
  const auto lower = [](std::string& text) {
    std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  };
  lower(message);
  lower(key);
  return message.find(key) != std::string::npos;
}

}  // namespace gas::testing

#endif  // GAS_TESTS_SUPPORT_JSON_CHANGES_H_
