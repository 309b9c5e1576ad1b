// What a search has found out, under keys and in a file, so that it need not be computed again when an
// interrupted search is made once more. The search itself runs as if nothing had happened and comes to the
// same bits.
#ifndef GAS_FIT_FIT_JOURNAL_H_
#define GAS_FIT_FIT_JOURNAL_H_

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "gas/io/fingerprint.h"
#include "gas/io/json_lines.h"

namespace gas {

// JSON lines: first what decides the results, {"fingerprint": {...}}, then {"key": ..., "value": ...}.
class FitJournal {
 public:
  // Creates the file, or reads what is there. Throws Error(kBadFile), and changes nothing, for a file of
  // another fingerprint, and for one that is no journal.
  FitJournal(const std::filesystem::path& path, const Fingerprint& fingerprint);

  std::optional<nlohmann::json> Find(const std::string& key) const;
  // Doubles come back with the same bits. Throws Error(kIo).
  void Keep(const std::string& key, const nlohmann::json& value);

 private:
  std::map<std::string, nlohmann::json> values_;
  std::optional<JsonLinesWriter> file_;
};

// The keys of a journal that begin with a prefix. Without a journal nothing is known and nothing kept.
class JournalPart {
 public:
  JournalPart() = default;
  JournalPart(FitJournal& journal, std::string prefix) : journal_(&journal), prefix_(std::move(prefix)) {}

  JournalPart Part(const std::string& name) const;
  std::optional<nlohmann::json> Find(const std::string& key) const;
  void Keep(const std::string& key, const nlohmann::json& value) const;

 private:
  FitJournal* journal_ = nullptr;
  std::string prefix_;
};

}  // namespace gas

#endif  // GAS_FIT_FIT_JOURNAL_H_
