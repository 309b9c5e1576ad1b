#include "gas/io/fingerprint.h"

#include "gas/core/error.h"
#include "gas/io/json.h"

namespace gas {
namespace {

[[noreturn]] void Refuse(const std::string& file, const std::string& key, const std::string& then,
                         const std::string& now) {
  Fail(Errc::kBadFile, file, ": was made with ", key, " = ", then, ", this run has ", now,
       "; use the same value to continue, or another run folder");
}

}  // namespace

void CheckSameFingerprint(const std::string& file, const Fingerprint& then, const Fingerprint& now) {
  GAS_CHECK(then.is_object(), Errc::kBadFile, file, ": entry fingerprint is no JSON object");
  for (const auto& [key, value] : now.items()) {
    if (then.contains(key) && then[key] != value) Refuse(file, key, Shown(then[key]), Shown(value));
  }
  for (const auto& [key, value] : now.items()) {
    if (!then.contains(key)) Refuse(file, key, "(none)", Shown(value));
  }
  for (const auto& [key, value] : then.items()) {
    if (!now.contains(key)) Refuse(file, Printable(key), Shown(value), "(none)");
  }
}

void CheckSameFingerprint(const Checkpoint& file, const Fingerprint& now) {
  CheckSameFingerprint(file.name(), ParseJsonOrNone(file.Text("fingerprint")).value_or(nullptr), now);
}

}  // namespace gas
