#include "gas/fit/fit_journal.h"

#include "gas/core/error.h"

namespace gas {

using Json = nlohmann::json;

FitJournal::FitJournal(const std::filesystem::path& path, const Fingerprint& fingerprint) {
  const std::vector<Json> lines = ReadJsonLines(path);
  for (size_t i = 0; i < lines.size(); ++i) {
    const Json& line = lines[i];
    const char* key = i == 0 ? "fingerprint" : "key";
    GAS_CHECK(line.is_object() && line.contains(key) &&
                  (i == 0 || (line[key].is_string() && line.contains("value"))),
              Errc::kBadFile, path.string(), ", line ", i + 1,
              ": is none of a journal of gas fit; remove the file");
    if (i == 0) {
      CheckSameFingerprint(path.string(), line[key], fingerprint);
    } else {
      values_[line[key].get<std::string>()] = line["value"];
    }
  }
  file_.emplace(path);
  if (lines.empty()) file_->Add({{"fingerprint", fingerprint}});
}

std::optional<Json> FitJournal::Find(const std::string& key) const {
  const auto found = values_.find(key);
  if (found == values_.end()) return std::nullopt;
  return found->second;
}

void FitJournal::Keep(const std::string& key, const Json& value) {
  file_->Add({{"key", key}, {"value", value}});
  values_[key] = value;
}

JournalPart JournalPart::Part(const std::string& name) const {
  JournalPart part = *this;
  part.prefix_ += name + "/";
  return part;
}

std::optional<Json> JournalPart::Find(const std::string& key) const {
  return journal_ == nullptr ? std::nullopt : journal_->Find(prefix_ + key);
}

void JournalPart::Keep(const std::string& key, const Json& value) const {
  if (journal_ != nullptr) journal_->Keep(prefix_ + key, value);
}

}  // namespace gas
